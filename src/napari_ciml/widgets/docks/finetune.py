"""The dock widget *Fine-tune*: train the checkpoint on corrected cases, in the background."""

from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import QSignalBlocker
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox, QFileDialog

from napari_ciml.errors import CimlError
from napari_ciml.inference.plan import unsupported_parts
from napari_ciml.training.finetune.inputs import CorrectedCase, FineTuneInput
from napari_ciml.widgets.display.linked_layers import primary_layers
from napari_ciml.widgets.layers.metadata import metadata_of
from napari_ciml.widgets.panels.close_guard import CloseGuard, outermost_window
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, form_layout, row
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.finetune_options import FineTuneOptions
from napari_ciml.widgets.panels.finetune_results import result_notices, results_table, show_results
from napari_ciml.widgets.panels.label_convention import LabelConventionBox
from napari_ciml.widgets.panels.training_case_table import TrainingCaseTable
from napari_ciml.widgets.panels.training_curves import TrainingCurves

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ciml.training.finetune.results import StepReport

_EMPTY = (
    "Open a case, and segment it or add its label map, and correct it; then fine-tune the "
    "checkpoint on it here. Or add a folder of labelled cases."
)
_EVERYWHERE, _NOT_USED = "whole volume", "not the open case"


class FineTuneWidget(Dock):
    """Fine-tune the checkpoint on the open case and further ones.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.controller = self.session.finetuning
        self.guard: CloseGuard | None = None
        self.labels, self.corrected_part, self.convention = (
            QComboBox(),
            QComboBox(),
            LabelConventionBox(),
        )
        self.labels.setToolTip("Corrected label map of the open case to train on.")
        self.corrected_part.setToolTip(
            "Labels layer that marks the corrected part of the case; the rest is not trained on."
        )
        self.add_case = button(
            "Add this case", "Add this case with its labels to the list, to open the next one."
        )
        self.add_folder = button("Add folder ...", "Add a folder of cases with their label maps.")
        self.empty = WrappingLabel(colour=QUIET_COLOUR)
        self.training_cases, self.options = TrainingCaseTable(), FineTuneOptions()
        self.unsupported = WrappingLabel(colour=QUIET_COLOUR)
        self.start = button("Fine-tune", "Start fine-tuning in the background.")
        self.pause = button("Pause", "Pause the fine-tune; press again to resume.")
        self.pause.setCheckable(True)
        self.finish = button("Stop, keep best", "Stop now and keep the best version so far.")
        self.discard = button("Discard", "Stop now and discard the fine-tune.")
        self.adopt = button(
            "Use fine-tuned", "Use the fine-tuned checkpoint; the previous file is kept."
        )
        self.revert = button("Use previous", "Use the previous checkpoint again.")
        self.interrupted = WrappingLabel()
        self.resume = button("Resume", "Resume the fine-tune from its last saved state.")
        self.discard_interrupted = button(
            "Discard", "Delete its saved state; it cannot be resumed then."
        )
        self.state, self.notices = WrappingLabel(colour=QUIET_COLOUR), WrappingLabel()
        self.curves = TrainingCurves()
        self.scores = results_table()
        self._lay_out()
        self._connect()
        self._list_layers()
        self._show_unsupported()
        self.controller.look_for_interrupted()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Ask before the window that now holds this dock widget is closed."""
        super().showEvent(event)
        window = outermost_window(self)
        if self.guard is None or self.guard.window() is not window:
            self.guard = CloseGuard(window, self.controller, self)

    def _lay_out(self) -> None:
        self.column.addWidget(self.interrupted)
        self.column.addLayout(row(self.resume, self.discard_interrupted))
        self.column.addWidget(self.empty)
        inputs = form_layout()
        inputs.addRow("Label map", self.labels)
        inputs.addRow("Label convention", self.convention)
        inputs.addRow("Corrected part", self.corrected_part)
        self.column.addLayout(inputs)
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
        controller = self.controller
        self.labels.currentTextChanged.connect(self._show_convention)
        self.start.clicked.connect(lambda: self.run_intent(self._start))
        self.pause.toggled.connect(controller.pause)
        self.finish.clicked.connect(controller.finish)
        self.discard.clicked.connect(controller.discard)
        self.adopt.clicked.connect(lambda: self.run_intent(controller.adopt))
        self.revert.clicked.connect(lambda: self.run_intent(controller.go_back))
        self.add_case.clicked.connect(lambda: self.run_intent(self._add_case))
        self.add_folder.clicked.connect(self._choose_folder)
        self.resume.clicked.connect(lambda: self.run_intent(controller.resume_interrupted))
        self.discard_interrupted.clicked.connect(controller.discard_interrupted)
        controller.progressed.connect(self._on_progress)
        controller.changed.connect(self._refresh)
        self.session.jobs.training.notified.connect(self.notices.set_text)
        self.session.jobs.training.failed.connect(self.show_error)
        layers = self.viewer.layers
        for event in (layers.events.inserted, layers.events.removed, layers.events.renamed):
            event.connect(self._list_layers)
        self.model.case_changed.connect(self._list_layers)
        self.model.decomposition_changed.connect(self._show_unsupported)
        self.model.checkpoint_changed.connect(self._show_unsupported)

    def _start(self) -> None:
        open_case = self._open_case()
        others = self.training_cases.inputs(exclude=open_case.case if open_case else None)
        own = [FineTuneInput(open_case, regions=self.convention.regions())] if open_case else []
        inputs = [*others, *own]
        if not any(item.learn for item in inputs):
            raise CimlError("Open a case, and segment it or add its label map, first.")
        self.curves.clear()
        self.notices.set_text("")
        self.controller.start(inputs, self.options.settings())

    def _open_case(self) -> CorrectedCase | None:
        """Return the open case with the selected label map."""
        labels, corrected_part = self._layer(self.labels), self._layer(self.corrected_part)
        return self.controller.corrected_case(labels, corrected_part)

    def _add_case(self) -> None:
        open_case = self._open_case()
        if open_case is None:
            raise CimlError("Open a case, and segment it or add its label map, first.")
        self.training_cases.add(open_case, self.convention.regions())

    def _layer(self, box: QComboBox) -> Labels | None:
        name = box.currentText()
        return next((layer for layer in self.viewer.layers if layer.name == name), None)

    def _list_layers(self, *_: object) -> None:
        case, previous = self.model.case, self.labels.currentText()
        names = [
            layer.name
            for layer in primary_layers(self.viewer.layers)
            if isinstance(layer, Labels)
            and not ((metadata := metadata_of(layer)) and metadata.kind == "brain")
            and case is not None
            and layer.data.shape == case.grid.shape
        ]
        for box, first, last in (
            (self.labels, [], [_NOT_USED]),
            (self.corrected_part, [_EVERYWHERE], []),
        ):
            current = box.currentText() if box.count() > 1 else ""
            with QSignalBlocker(box):
                box.clear()
                box.addItems([*first, *names, *last])
                box.setCurrentIndex(max(0, box.findText(current)))
        if self.labels.currentText() != previous:
            self._show_convention()
        self.empty.set_text("" if names else _EMPTY)

    def _show_convention(self) -> None:
        layer = self._layer(self.labels)
        metadata = metadata_of(layer) if layer is not None else None
        self.convention.set_regions(
            metadata.regions if metadata and metadata.kind == "reference" else ()
        )

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Add a folder of cases with label maps")
        if folder:
            self.training_cases.add(Path(folder))

    def _show_unsupported(self) -> None:
        info, decomposition = self.model.info, self.model.decomposition
        problems = unsupported_parts(info, decomposition) if info is not None else ()
        self.unsupported.set_text("\n".join(problem.message for problem in problems))

    def _on_progress(self, progress: "StepReport") -> None:
        curves, fraction = self.curves, progress.fraction_done
        curves.add("Dice loss", fraction, progress.dice)
        curves.add("cross-entropy", fraction, progress.cross_entropy)
        curves.add("KL", fraction, progress.kl)
        if progress.version is not None:
            curves.add("Dice, corrected", fraction, progress.version.score)
            if progress.version.replay:
                values = progress.version.replay.values()
                curves.add("Dice, replay", fraction, sum(values) / len(values))
        self.state.set_text(f"Step {progress.step}; {progress.seconds_left / 60:.1f} min left.")

    def _refresh(self) -> None:
        controller = self.controller
        self.start.setEnabled(not controller.running)
        resumable = controller.interrupted is not None and not controller.running
        self.interrupted.set_text("A fine-tune was interrupted." if resumable else "")
        for part in (self.resume, self.discard_interrupted):
            part.setVisible(resumable)
        for part in (self.pause, self.finish, self.discard):
            part.setEnabled(controller.running)
        if not controller.running:
            self.pause.setChecked(False)
        if controller.paused:
            self.state.set_text("Paused.")
        elif controller.waits:
            self.state.set_text("Waiting: the device is in use by another job.")
        elif controller.running:
            self.state.set_text("Fine-tuning ...")
        else:
            self.state.set_text("")
        self.revert.setVisible(controller.before is not None)
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
