"""The dock widget *Export*: files to take away, and the session to come back to."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QLineEdit

from napari_ciml.export.bundle import FORMATS, KINDS, ExportOptions
from napari_ciml.export.dicom_series import dicom_files_in
from napari_ciml.metrics.label_checks import LabelIssue
from napari_ciml.widgets.controllers import view_state
from napari_ciml.widgets.controllers.persistence import EXPORTING, OPENING, SAVING
from napari_ciml.widgets.panels.common import (
    QUIET_COLOUR,
    WrappingLabel,
    button,
    label,
    row,
)
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.job_bar import JobBar

if TYPE_CHECKING:
    from napari.viewer import Viewer

_CHOSEN = ("labels", "tables", "report")
_TIPS = {
    "labels": "As it is now, corrections included, on the grid of the reference's file.",
    "probabilities": "One volume for each region, and its uncertainty if there is one.",
    "maps": "One volume for each pair and auxiliary; press Explain first.",
    "tables": "Volumes, weights, and how the result was made.",
    "report": "One page with key images; nobody's name is in it unless you give one.",
    "dicom-seg": "Belongs to the patient of the series it refers to, as DICOM has it.",
}


class ExportWidget(Dock):
    """Take results away, save the session, open a saved one.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Whose session it is.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.series: Path | None = None
        self.kinds = {kind: QCheckBox(text) for kind, text in KINDS.items()}
        for kind, box in self.kinds.items():
            box.setChecked(kind in _CHOSEN)
            box.setToolTip(_TIPS[kind])
        self.format = QComboBox()
        self.format.addItems(FORMATS)
        self.format.setToolTip("File format of label map, probabilities and maps.")
        self.grid = QComboBox()
        self.grid.setToolTip("The modality on whose voxels volumes are written.")
        self.choose_series = button("Source series ...", "The DICOM that DICOM SEG refers to.")
        self.subject = QLineEdit()
        self.subject.setPlaceholderText("nobody's name")
        self.subject.setToolTip("What the report calls the case; leave it empty to name nobody.")
        self.export = button("Export ...", "Write what is ticked to a folder.")
        self.save = button("Save session ...", "Save the whole review to a folder.")
        self.open = button("Open session ...", "Go on with a saved review.")
        self.target = WrappingLabel()
        self.jobs = JobBar(self, EXPORTING, SAVING, OPENING)
        self.summary = WrappingLabel(colour=QUIET_COLOUR)
        for kind, box in self.kinds.items():
            self.column.addWidget(box)
            if kind == "dicom-seg":
                self.column.addWidget(self.choose_series)
        self.column.addLayout(row(label("Volumes as"), self.format, label("on"), self.grid))
        self.column.addLayout(row(label("Name in the report"), self.subject))
        self.column.addWidget(self.target)
        self.column.addWidget(self.export)
        self.column.addLayout(row(self.save, self.open))
        self.column.addWidget(self.jobs)
        self.column.addWidget(self.summary)
        self.column.addStretch()
        self.add_footer()
        self.choose_series.clicked.connect(self._ask_series)
        self.export.clicked.connect(self._ask_export)
        self.save.clicked.connect(self._ask_save)
        self.open.clicked.connect(self._ask_open)
        self.model.segmentation_changed.connect(self._show)
        self.session.label_maps.changed.connect(self._show_which)
        self.model.explanation_changed.connect(self._show)
        self.model.case_changed.connect(self._show_case)
        self.grid.activated.connect(self._set_grid)
        self.model.grid_changed.connect(self._show_grid)
        self._show_case()

    def export_to(self, folder: Path) -> None:
        """Write what is ticked to a folder."""
        kinds = frozenset(k for k, box in self.kinds.items() if box.isChecked() and box.isEnabled())

        def intent() -> None:
            series = dicom_files_in(self.series) if self.series and "dicom-seg" in kinds else []
            wish = ExportOptions(kinds, self.format.currentText(), series, self.model.grid)
            subject = self.subject.text().strip()
            self.session.persistence.export(folder, wish, subject, self._exported)

        self.run_intent(intent)

    def save_to(self, folder: Path) -> None:
        """Save the session to a folder."""
        said = f"The session is saved in {folder}."
        self.run_intent(
            self.session.persistence.save, folder, lambda _: self.summary.set_text(said)
        )

    def open_from(self, folder: Path) -> None:
        """Open a saved session."""
        self.summary.set_text("")
        self.run_intent(self.session.persistence.open, folder)

    def set_source_series(self, folder: Path) -> None:
        """Let DICOM SEG refer to the series in a folder."""
        self.series = folder
        self.choose_series.setText(f"Source series: {folder.name}")
        self.kinds["dicom-seg"].setChecked(True)

    def _ask_series(self) -> None:
        self._ask("The folder of the source series", self.set_source_series)

    def _ask_export(self) -> None:
        self._ask("Export to a folder", self.export_to)

    def _ask_save(self) -> None:
        self._ask("Save the session to a folder of its own", self.save_to)

    def _ask_open(self) -> None:
        self._ask("Open a saved session", self.open_from)

    def _ask(self, title: str, then: object) -> None:
        path = QFileDialog.getExistingDirectory(self, title)
        if path:
            then(Path(path))  # type: ignore[operator]

    def _exported(self, paths: list[Path], faults: tuple[LabelIssue, ...]) -> None:
        folder = paths[0].parent if paths else ""
        said = f"{len(paths)} files are in {folder}." if paths else "Nothing was ticked."
        if faults:
            count = "1 thing" if len(faults) == 1 else f"{len(faults)} things"
            said += (
                f"\nIn the correction there may be {count} to mend; Check, in Correct, lists all. "
                f"{faults[0].sentence}"
            )
        self.summary.set_text(said)

    def _show_case(self) -> None:
        case = self.model.case
        self.grid.clear()
        if case is not None:
            self.grid.addItems(sorted(case.images, key=lambda name: name != case.reference))
        self._show_grid()
        self._show()

    def _set_grid(self, k: int) -> None:
        self.model.set_grid(self.grid.itemText(k) if k else None)

    def _show_grid(self) -> None:
        self.grid.setCurrentIndex(max(self.grid.findText(self.model.grid or ""), 0))

    def _show_which(self) -> None:
        """Say which label map leaves; a correction that stays behind must be seen."""
        chosen = self.session.label_maps.current()
        if self.model.segmentation is None or chosen is None:
            self.target.set_text("")
            return
        how = "corrected by hand" if view_state.has_user_edits(chosen) else "as computed"
        said = [f"It writes '{chosen.name}', {how}."]
        said += [
            f"'{layer.name}' has your corrections and is not written; choose it in Lesions."
            for layer in self.session.label_maps.label_maps()
            if layer is not chosen and view_state.has_user_edits(layer)
        ]
        self.target.set_text("\n".join(said))

    def _show(self) -> None:
        model = self.model
        self._show_which()
        self.save.setEnabled(model.case is not None)
        self.export.setEnabled(model.segmentation is not None)
        self.kinds["maps"].setEnabled(model.explanation is not None)
        if model.case is None:
            self.summary.set_text("Open a case, or a saved session.")
        elif model.segmentation is None:
            self.summary.set_text(
                "Segment the case to export it; the session can be saved at any time."
            )
        else:
            self.summary.set_text("")
