"""The dock widget *Export*: export results to files; save and open sessions."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from magicgui.widgets import ComboBox
from qtpy.QtWidgets import QCheckBox, QFileDialog

from napari_ciml.export.bundle import FORMATS, KINDS, ExportOptions
from napari_ciml.export.dicom_series import dicom_files_in
from napari_ciml.metrics.label_checks import LabelIssue
from napari_ciml.widgets.controllers import view_state
from napari_ciml.widgets.controllers.persistence import EXPORTING, OPENING, SAVING
from napari_ciml.widgets.panels.common import (
    QUIET_COLOUR,
    WrappingLabel,
    button,
    row,
)
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.form import Form
from napari_ciml.widgets.panels.job_bar import JobBar
from napari_ciml.widgets.panels.texts import count_text

if TYPE_CHECKING:
    from napari.viewer import Viewer

_REFERENCE = ""
"""Value of the grid of the reference modality."""

_CHOSEN = ("labels", "tables", "report")
_TIPS = {
    "labels": "Current label map with corrections, on the grid of the reference file.",
    "probabilities": "One volume per region, and its uncertainty if computed.",
    "maps": "One volume per pair and auxiliary; requires Explain.",
    "tables": "Region volumes, weights, and provenance of the result.",
    "report": "One page with key images; anonymous unless you enter a name.",
    "dicom-seg": "DICOM Segmentation with the patient and study of its source series.",
}


@dataclass(frozen=True)
class FileOptions:
    """Options of the exported files, as a form shows them."""

    suffix: Annotated[
        str,
        {
            "label": "Format",
            "choices": FORMATS,
            "tooltip": "File format of label map, probabilities and maps.",
        },
    ] = FORMATS[0]
    grid: Annotated[
        str,
        {
            "label": "Grid",
            "choices": [("", _REFERENCE)],
            "tooltip": "Modality whose voxel grid volumes are written on.",
        },
    ] = _REFERENCE
    subject: Annotated[
        str,
        {
            "label": "Case name",
            "tooltip": "Name of the case in the report; empty for an anonymous report.",
        },
    ] = ""


class ExportWidget(Dock):
    """Export results, save the session, open a saved one.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.series: Path | None = None
        self.kinds = {kind: QCheckBox(text) for kind, text in KINDS.items()}
        for kind, box in self.kinds.items():
            box.setChecked(kind in _CHOSEN)
            box.setToolTip(_TIPS[kind])
        self.form = Form(FileOptions())
        grid = self.form.widgets["grid"]
        assert isinstance(grid, ComboBox)
        self.grid = grid
        self.choose_series = button(
            "Source series ...", "Folder of the DICOM series that DICOM SEG refers to."
        )
        self.subject = self.form.widgets["subject"].native
        self.subject.setPlaceholderText("(anonymous)")
        self.export = button("Export ...", "Write the ticked items to a folder.")
        self.save = button("Save session ...", "Save the whole review session to a folder.")
        self.open = button("Open session ...", "Open a saved review session.")
        self.target = WrappingLabel()
        self.jobs = JobBar(self, EXPORTING, SAVING, OPENING)
        self.summary = WrappingLabel(colour=QUIET_COLOUR)
        for kind, box in self.kinds.items():
            self.column.addWidget(box)
            if kind == "dicom-seg":
                self.column.addWidget(self.choose_series)
        self.column.addWidget(self.form.native)
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
        self.session.label_maps.changed.connect(self._show_target)
        self.model.explanation_changed.connect(self._show)
        self.model.case_changed.connect(self._show_case)
        self.grid.changed.connect(self._set_grid)
        self.model.grid_changed.connect(self._show_grid)
        self._show_case()

    def export_to(self, folder: Path) -> None:
        """Write the ticked items to a folder."""
        kinds = frozenset(k for k, box in self.kinds.items() if box.isChecked() and box.isEnabled())

        def intent() -> None:
            series = dicom_files_in(self.series) if self.series and "dicom-seg" in kinds else []
            form = self.form.values()
            options = ExportOptions(kinds, form.suffix, series, self.model.grid)
            subject = form.subject.strip()
            self.session.persistence.export(folder, options, subject, self._exported)

        self.run_intent(intent)

    def save_to(self, folder: Path) -> None:
        """Save the session to a folder."""
        text = f"Session saved in {folder}."
        self.run_intent(
            self.session.persistence.save, folder, lambda _: self.summary.set_text(text)
        )

    def open_from(self, folder: Path) -> None:
        """Open a saved session."""
        self.summary.set_text("")
        self.run_intent(self.session.persistence.open, folder)

    def set_source_series(self, folder: Path) -> None:
        """Set the folder of the series that DICOM SEG refers to."""
        self.series = folder
        self.choose_series.setText(f"Source series: {folder.name}")
        self.kinds["dicom-seg"].setChecked(True)

    def _ask_series(self) -> None:
        self._ask("Choose the folder of the source series", self.set_source_series)

    def _ask_export(self) -> None:
        self._ask("Export to a folder", self.export_to)

    def _ask_save(self) -> None:
        self._ask("Save the session to a new folder", self.save_to)

    def _ask_open(self) -> None:
        self._ask("Open a saved session", self.open_from)

    def _ask(self, title: str, then: object) -> None:
        path = QFileDialog.getExistingDirectory(self, title)
        if path:
            then(Path(path))  # type: ignore[operator]

    def _exported(self, paths: list[Path], issues: tuple[LabelIssue, ...]) -> None:
        folder = paths[0].parent if paths else ""
        text = (
            f"{count_text(len(paths), 'file')} written to {folder}."
            if paths
            else "Nothing is ticked."
        )
        if issues:
            count = count_text(len(issues), "issue")
            text += (
                f"\nThe correction has {count}; Check in Correct lists all. {issues[0].sentence}"
            )
        self.summary.set_text(text)

    def _show_case(self) -> None:
        case = self.model.case
        others = [name for name in case.images if name != case.reference] if case else []
        reference = case.reference if case else ""
        with self.grid.changed.blocked():
            self.grid.choices = [(reference, _REFERENCE), *((name, name) for name in others)]
        self._show_grid()
        self._show()

    def _set_grid(self, modality: str) -> None:
        self.model.set_grid(modality or None)

    def _show_grid(self) -> None:
        grid = self.model.grid or _REFERENCE
        with self.grid.changed.blocked():
            self.grid.value = grid if grid in self.grid.choices else _REFERENCE

    def _show_target(self) -> None:
        """Show which label map is exported; warn of corrections that are not."""
        current = self.session.label_maps.current()
        if self.model.segmentation is None or current is None:
            self.target.set_text("")
            return
        state = "with corrections" if view_state.has_user_edits(current) else "as computed"
        text = [f"Exports '{current.name}', {state}."]
        text += [
            f"'{layer.name}' has corrections and is not exported; select it in Lesions."
            for layer in self.session.label_maps.label_maps()
            if layer is not current and view_state.has_user_edits(layer)
        ]
        self.target.set_text("\n".join(text))

    def _show(self) -> None:
        model = self.model
        self._show_target()
        self.save.setEnabled(model.case is not None)
        self.export.setEnabled(model.segmentation is not None)
        self.kinds["maps"].setEnabled(model.explanation is not None)
        if model.case is None:
            self.summary.set_text("Open a case or a saved session.")
        elif model.segmentation is None:
            self.summary.set_text(
                "Segment the case to export results; the session can be saved at any time."
            )
        else:
            self.summary.set_text("")
