"""The dock widget *Fine-tune*: learn from a corrected case, in the background."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QSignalBlocker
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox, QFileDialog

from napari_ciml.errors import CimlError
from napari_ciml.inference.plan import unsupported_parts
from napari_ciml.training.finetune.inputs import CorrectedCase, FineTuneInput
from napari_ciml.widgets.controllers.finetuning import FineTuneController
from napari_ciml.widgets.display.linked_layers import primary_layers
from napari_ciml.widgets.layers.metadata import metadata_of
from napari_ciml.widgets.panels.close_guard import CloseGuard
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, label, row
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.finetune_options import LearningOptions
from napari_ciml.widgets.panels.finetune_results import result_notices, results_table, show_results
from napari_ciml.widgets.panels.label_convention import LabelConventionBox
from napari_ciml.widgets.panels.training_case_table import TrainingCaseTable
from napari_ciml.widgets.panels.training_curves import TrainingCurves

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ciml.training.finetune.results import StepReport

_EMPTY = (
    "Open a case, and segment it or add its label map; correct it with napari's brush; then the "
    "checkpoint can learn from it here. Or add a folder of cases."
)
_EVERYWHERE, _NOTHING = "everywhere", "nothing of the open case"


class FineTuneWidget(Dock):
    """Let the checkpoint learn from the labels of the open case.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Its Labels layers are what can be learnt from.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.controller = FineTuneController(self.session)
        self.guard: CloseGuard | None = None
        self.labels, self.corrected_part, self.convention = (
            QComboBox(),
            QComboBox(),
            LabelConventionBox(),
        )
        self.labels.setToolTip("The corrected label map of the open case.")
        self.corrected_part.setToolTip(
            "A Labels layer that marks the part of the case that is corrected."
        )
        self.add_case = button("Keep this case", "Keep it with these labels, and open the next.")
        self.add_folder = button("Add folder ...", "Cases with their label maps, on disk.")
        self.empty = WrappingLabel(colour=QUIET_COLOUR)
        self.training_cases, self.options = TrainingCaseTable(), LearningOptions()
        self.unsupported = WrappingLabel(colour=QUIET_COLOUR)
        self.start = button("Learn from this", "Learn in the background; go on working.")
        self.pause = button("Pause", "Hold; go on later.")
        self.pause.setCheckable(True)
        self.finish = button("Stop, keep the best", "End now with the best version so far.")
        self.discard = button("Discard", "End now and forget it.")
        self.adopt = button("Use the new version", "The one before stays where it is.")
        self.revert = button("Back to the version before", "Use the old version again.")
        self.interrupted = WrappingLabel()
        self.resume = button("Go on with it", "From where it was left.")
        self.discard_interrupted = button("Forget it", "It cannot be gone on with then.")
        self.state, self.notices = WrappingLabel(colour=QUIET_COLOUR), WrappingLabel()
        self.curves = TrainingCurves()
        self.scores = results_table()
        self._lay_out()
        self._connect()
        self._list_layers()
        self._say_untrained()
        self.controller.look_for_interrupted()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Watch the window that the widget has come to be in."""
        super().showEvent(event)
        window = self.window()
        while window.parentWidget() is not None:
            window = window.parentWidget()
        if self.guard is None or self.guard.window() is not window:
            self.guard = CloseGuard(window, self.controller, self)

    def _lay_out(self) -> None:
        self.column.addWidget(self.interrupted)
        self.column.addLayout(row(self.resume, self.discard_interrupted))
        self.column.addWidget(self.empty)
        self.column.addLayout(row(label("Learn from"), self.labels))
        self.column.addLayout(row(label("its labels"), self.convention))
        self.column.addLayout(row(label("corrected"), self.corrected_part))
        self.column.addLayout(row(self.add_case, self.add_folder))
        for part in (self.training_cases, self.options, self.unsupported, self.start):
            self.column.addWidget(part)
        self.column.addLayout(row(self.pause, self.finish, self.discard))
        for part in (self.state, self.curves, self.scores, self.notices):
            self.column.addWidget(part)
        self.column.addLayout(row(self.adopt, self.revert))
        self.column.addStretch()
        self.add_footer()

    def _connect(self) -> None:
        tuning = self.controller
        self.labels.currentTextChanged.connect(self._say_meaning)
        self.start.clicked.connect(lambda: self.run_intent(self._start))
        self.pause.toggled.connect(tuning.pause)
        self.finish.clicked.connect(tuning.finish)
        self.discard.clicked.connect(tuning.discard)
        self.adopt.clicked.connect(lambda: self.run_intent(tuning.adopt))
        self.revert.clicked.connect(lambda: self.run_intent(tuning.go_back))
        self.add_case.clicked.connect(lambda: self.run_intent(self._keep_case))
        self.add_folder.clicked.connect(self._ask)
        self.resume.clicked.connect(lambda: self.run_intent(tuning.resume_interrupted))
        self.discard_interrupted.clicked.connect(tuning.discard_interrupted)
        tuning.progressed.connect(self._on_progress)
        tuning.changed.connect(self._refresh)
        tuning.runner.told.connect(self.notices.set_text)
        tuning.runner.failed.connect(self.show_error)
        layers = self.viewer.layers
        for happened in (layers.events.inserted, layers.events.removed, layers.events.renamed):
            happened.connect(self._list_layers)
        self.model.case_changed.connect(self._list_layers)
        self.model.decomposition_changed.connect(self._say_untrained)
        self.model.checkpoint_changed.connect(self._say_untrained)
        self.destroyed.connect(tuning.close)

    def _start(self) -> None:
        shown = self._shown()
        others = self.training_cases.inputs(but=shown.case if shown else None)
        ours = [FineTuneInput(shown, regions=self.convention.regions())] if shown else []
        materials = [*others, *ours]
        if not any(material.learn for material in materials):
            raise CimlError("Open a case, and segment it or add its label map, first.")
        self.curves.clear()
        self.notices.set_text("")
        self.controller.start(materials, self.options.settings())

    def _shown(self) -> CorrectedCase | None:
        """Return the open case with the labels chosen."""
        case, layer = self.model.case, self._layer(self.labels)
        if case is None or layer is None:
            return None
        certain = self._layer(self.corrected_part)
        believed = None if certain is None else np.asarray(certain.data) > 0
        return CorrectedCase(case, np.array(layer.data), believed)

    def _keep_case(self) -> None:
        shown = self._shown()
        if shown is None:
            raise CimlError("Open a case, and segment it or add its label map, first.")
        self.training_cases.add(shown, self.convention.regions())

    def _layer(self, box: QComboBox) -> Labels | None:
        name = box.currentText()
        return next((layer for layer in self.viewer.layers if layer.name == name), None)

    def _list_layers(self, *_: object) -> None:
        case, before = self.model.case, self.labels.currentText()
        names = [
            layer.name
            for layer in primary_layers(self.viewer.layers)
            if isinstance(layer, Labels)
            and not ((found := metadata_of(layer)) and found.kind == "brain")
            and case is not None
            and layer.data.shape == case.grid.shape
        ]
        for box, first, last in (
            (self.labels, [], [_NOTHING]),
            (self.corrected_part, [_EVERYWHERE], []),
        ):
            chosen = box.currentText() if box.count() > 1 else ""
            with QSignalBlocker(box):
                box.clear()
                box.addItems([*first, *names, *last])
                box.setCurrentIndex(max(0, box.findText(chosen)))
        if self.labels.currentText() != before:
            self._say_meaning()
        self.empty.set_text("" if names else _EMPTY)

    def _say_meaning(self) -> None:
        layer = self._layer(self.labels)
        found = metadata_of(layer) if layer is not None else None
        self.convention.set_regions(found.regions if found and found.kind == "reference" else ())

    def _ask(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Cases with their label maps")
        if folder:
            self.training_cases.add(Path(folder))

    def _say_untrained(self) -> None:
        info, wanted = self.model.info, self.model.decomposition
        problems = unsupported_parts(info, wanted) if info is not None else ()
        self.unsupported.set_text("\n".join(problem.message for problem in problems))

    def _on_progress(self, progress: "StepReport") -> None:
        curves, share = self.curves, progress.share
        curves.add("Dice loss", share, progress.dice)
        curves.add("cross-entropy", share, progress.cross_entropy)
        curves.add("KL", share, progress.kl)
        if progress.looked is not None:
            curves.add("Dice, corrected", share, progress.looked.score)
            if progress.looked.replay:
                values = progress.looked.replay.values()
                curves.add("Dice, replay", share, sum(values) / len(values))
        self.state.set_text(f"Step {progress.step}; {progress.left / 60:.1f} minutes left.")

    def _refresh(self) -> None:
        tuning = self.controller
        self.start.setEnabled(not tuning.running)
        held = tuning.interrupted is not None and not tuning.running
        self.interrupted.set_text("A fine-tune was interrupted before it was done." if held else "")
        for part in (self.resume, self.discard_interrupted):
            part.setVisible(held)
        for part in (self.pause, self.finish, self.discard):
            part.setEnabled(tuning.running)
        if not tuning.running:
            self.pause.setChecked(False)
        if tuning.paused:
            self.state.set_text("Paused.")
        elif tuning.waits:
            self.state.set_text("Waiting: the device is busy with the case.")
        elif tuning.running:
            self.state.set_text("Learning ...")
        else:
            self.state.set_text("")
        self.revert.setVisible(tuning.before is not None)
        self._show_result()

    def _show_result(self) -> None:
        result = self.controller.result
        for part in (self.scores, self.adopt):
            part.setVisible(result is not None)
        if result is None:
            return
        self.adopt.setEnabled(result.interpolation > 0 and self.model.checkpoint != result.path)
        show_results(self.scores, result)
        self.notices.set_text(result_notices(result))
