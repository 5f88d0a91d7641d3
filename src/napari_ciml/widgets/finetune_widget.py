"""The dock widget *Fine-tune*: learn from a corrected case, in the background."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QFileDialog, QTableWidgetItem

from napari_ciml.errors import CimlError
from napari_ciml.training.settings import FineTuneSettings
from napari_ciml.widgets.curves import Curves
from napari_ciml.widgets.parts import QUIET_COLOUR, Dock, Words, button, label, row, table
from napari_ciml.widgets.session import session_of
from napari_ciml.widgets.tuning import Corrected, Tuning

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ciml.training.finetune.outcome import Progressed

_EVERYWHERE = "everywhere"
_ADAPT = {"everything": "all", "the decoders": "decoders", "what is new": "new"}


class FineTuneWidget(Dock):
    """Let the checkpoint learn from the labels of the open case.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Its Labels layers are what can be learnt from.
    """

    def __init__(self, viewer: "Viewer") -> None:
        super().__init__(session_of(viewer))
        self.viewer = viewer
        self.tuning = Tuning(self.session)
        self.replay: Path | None = None
        self.labels, self.certain, self.adapt = QComboBox(), QComboBox(), QComboBox()
        self.labels.setToolTip("The corrected label map of the open case.")
        self.certain.setToolTip("A Labels layer that marks the part of the case that is corrected.")
        self.adapt.addItems(list(_ADAPT))
        self.adapt.setToolTip("What may change: less is safer, more learns more.")
        self.minutes = QDoubleSpinBox()
        self.minutes.setRange(0.05, 24 * 60)
        self.minutes.setValue(5)
        self.minutes.setSuffix(" min")
        self.choose_replay = button("Replay cases ...", "A folder of cases not to be forgotten.")
        self.start = button("Learn from this", "Learn in the background; go on working.")
        self.pause = button("Pause", "Hold; go on later.")
        self.pause.setCheckable(True)
        self.keep = button("Stop, keep the best", "End now with the best version so far.")
        self.discard = button("Discard", "End now and forget it.")
        self.adopt = button("Use the new version", "The one before stays where it is.")
        self.back = button("Back to the version before", "Use the old version again.")
        self.state, self.verdict = Words(colour=QUIET_COLOUR), Words()
        self.curves = Curves()
        self.scores = table("Region", "Here", "after", "Replay", "after")
        self._lay_out()
        self._connect()
        self._list_layers()
        self._refresh()

    def _lay_out(self) -> None:
        self.column.addLayout(row(label("Learn from"), self.labels))
        self.column.addLayout(row(label("corrected"), self.certain))
        self.column.addLayout(row(label("Adapt"), self.adapt, self.minutes))
        self.column.addLayout(row(self.choose_replay, self.start))
        self.column.addLayout(row(self.pause, self.keep, self.discard))
        for part in (self.state, self.curves, self.scores, self.verdict):
            self.column.addWidget(part)
        self.column.addLayout(row(self.adopt, self.back))
        self.column.addStretch()
        self.finish()

    def _connect(self) -> None:
        tuning = self.tuning
        self.start.clicked.connect(lambda: self.attempt(self._start))
        self.pause.toggled.connect(tuning.pause)
        self.keep.clicked.connect(tuning.finish)
        self.discard.clicked.connect(tuning.discard)
        self.adopt.clicked.connect(lambda: self.attempt(tuning.adopt))
        self.back.clicked.connect(lambda: self.attempt(tuning.go_back))
        self.choose_replay.clicked.connect(self._ask)
        tuning.progressed.connect(self._on_progress)
        tuning.changed.connect(self._refresh)
        tuning.runner.told.connect(self.verdict.say)
        tuning.runner.failed.connect(self.show_error)
        layers = self.viewer.layers
        for happened in (layers.events.inserted, layers.events.removed, layers.events.renamed):
            happened.connect(self._list_layers)
        self.review.case_changed.connect(self._list_layers)
        self.destroyed.connect(tuning.close)

    def _start(self) -> None:
        case = self.review.case
        layer = self._layer(self.labels)
        if case is None or layer is None:
            raise CimlError("Open a case, and segment it or add its label map, first.")
        certain = self._layer(self.certain)
        learnt = Corrected(
            case,
            np.array(layer.data),
            None if certain is None else np.asarray(certain.data) > 0,
        )
        settings = FineTuneSettings(
            adapt=_ADAPT[self.adapt.currentText()],
            minutes=self.minutes.value(),
        )
        self.curves.clear()
        self.verdict.say("")
        self.tuning.start([learnt], settings, self.replay)

    def _layer(self, box: QComboBox) -> Labels | None:
        name = box.currentText()
        return next((layer for layer in self.viewer.layers if layer.name == name), None)

    def _list_layers(self, *_: object) -> None:
        case = self.review.case
        names = [
            layer.name
            for layer in self.viewer.layers
            if isinstance(layer, Labels)
            and case is not None
            and layer.data.shape == case.grid.shape
        ]
        for box, first in ((self.labels, []), (self.certain, [_EVERYWHERE])):
            chosen = box.currentText()
            box.clear()
            box.addItems([*first, *names])
            box.setCurrentIndex(max(0, box.findText(chosen)))

    def _ask(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "A folder of cases not to be forgotten")
        if folder:
            self.replay = Path(folder)
            self.choose_replay.setText(f"Replay: {self.replay.name}")

    def _on_progress(self, progress: "Progressed") -> None:
        curves, share = self.curves, progress.share
        curves.add("Dice loss", share, progress.dice)
        curves.add("cross-entropy", share, progress.cross_entropy)
        curves.add("KL", share, progress.kl)
        if progress.looked is not None:
            curves.add("Dice, corrected", share, progress.looked.worth)
            if progress.looked.replay:
                values = progress.looked.replay.values()
                curves.add("Dice, replay", share, sum(values) / len(values))
        left = (1 - share) * self.minutes.value()
        self.state.say(f"Step {progress.step}; {left:.1f} minutes left.")

    def _refresh(self) -> None:
        tuning = self.tuning
        self.start.setEnabled(not tuning.running)
        for part in (self.pause, self.keep, self.discard):
            part.setEnabled(tuning.running)
        if not tuning.running:
            self.pause.setChecked(False)
        if tuning.paused:
            self.state.say("Paused.")
        elif tuning.waits:
            self.state.say("Waiting: the device is busy with the case.")
        elif tuning.running:
            self.state.say("Learning ...")
        else:
            self.state.say("")
        self.back.setVisible(tuning.before is not None)
        self._show_result()

    def _show_result(self) -> None:
        result = self.tuning.result
        for part in (self.scores, self.adopt):
            part.setVisible(result is not None)
        if result is None:
            return
        self.adopt.setEnabled(self.review.checkpoint != result.path)
        self.scores.setRowCount(len(result.corrected_after))
        for k, region in enumerate(result.corrected_after):
            values = [
                found.get(region, float("nan"))
                for found in (
                    result.corrected_before,
                    result.corrected_after,
                    result.replay_before,
                    result.replay_after,
                )
            ]
            for column, text in enumerate((region, *(f"{value:.2f}" for value in values))):
                self.scores.setItem(k, column, QTableWidgetItem(text))
        self.scores.setFixedHeight(32 * len(result.corrected_after) + 32)
        told = [*result.notices]
        if not result.harmless:
            told.append("It forgets: a region lost more than the tolerance on the replay cases.")
        elif result.corrected_after == result.corrected_before:
            told.append("Nothing better was found; the new version is the old one.")
        self.verdict.say("\n".join(told))
