"""The dock widget *Case*: open a folder or file, assign modalities, load."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QComboBox, QFileDialog, QHeaderView, QRadioButton, QTableWidgetItem

from napari_ciml.cases.formats.volumes import SUFFIXES
from napari_ciml.cases.modality_names import MODALITIES
from napari_ciml.cases.skull_stripping import brain_notice
from napari_ciml.widgets.controllers.case_loading import LOADING, OPENING
from napari_ciml.widgets.panels.align import AlignPanel
from napari_ciml.widgets.panels.brain import BrainPanel
from napari_ciml.widgets.panels.common import (
    ERROR_COLOUR,
    QUIET_COLOUR,
    WrappingLabel,
    button,
    row,
    table,
)
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.job_bar import JobBar

if TYPE_CHECKING:
    from napari.viewer import Viewer

_LINES_PER_ROW = 3
"""Lines of text in a row: file, grid, value range."""

_IGNORE = "ignore"
_EMPTY = (
    "Open a folder with one file per modality or with DICOM series, or drop it here. "
    "New here? The Guide has five steps on a sample case."
)


class CaseWidget(Dock):
    """Open a case.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.setAcceptDrops(True)
        self.open_folder = button(
            "Open folder ...", "Open a folder with one file per modality or with DICOM series."
        )
        self.open_file = button(
            "Open file ...", "Open a 4-D file with all modalities, or one file of a HECKTOR pair."
        )
        self.title = WrappingLabel(_EMPTY)
        self.files = table("Modality", "File", "Ref.")
        self.files.setWordWrap(False)
        self.files.setToolTip(
            "Modality of each file. Ref.: reference modality, whose grid results are computed on."
        )
        header = self.files.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        self.problems = WrappingLabel(colour=ERROR_COLOUR)
        self.notices = WrappingLabel(colour=QUIET_COLOUR)
        self.load = button("Load", "Load the files with the modalities assigned above.")
        self.jobs = JobBar(self, OPENING, LOADING, *AlignPanel.JOBS, *BrainPanel.JOBS)
        self.column.addLayout(row(self.open_folder, self.open_file))
        self.alignment, self.brain = AlignPanel(self), BrainPanel(self)
        widgets = (self.title, self.files, self.problems, self.load, self.alignment, self.brain)
        for widget in (*widgets, self.jobs):
            self.column.addWidget(widget)
        self.column.addWidget(self.notices)
        self.column.addStretch()
        self.add_footer()
        self.open_folder.clicked.connect(self._ask_folder)
        self.open_file.clicked.connect(self._ask_file)
        self.load.clicked.connect(lambda: self.run_intent(self.session.cases.load))
        self.model.sources.changed.connect(self._show_scan)
        self.model.case_changed.connect(self._show_case)
        self.model.notified.connect(self._on_notice)
        self._show_scan()
        self._show_case()

    def open(self, path: Path) -> None:
        """Open a folder or a 4-D file."""
        self.run_intent(self.session.cases.open, path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        """Accept a single file or folder."""
        if len(event.mimeData().urls()) == 1:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        """Open the dropped file or folder."""
        event.acceptProposedAction()
        self.open(Path(event.mimeData().urls()[0].toLocalFile()))

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a case folder")
        if path:
            self.open(Path(path))

    def _ask_file(self) -> None:
        kinds = f"Images ({' '.join(f'*{suffix}' for suffix in SUFFIXES)});;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self, "Open a file", filter=kinds)
        if path:
            self.open(Path(path))

    def _show_scan(self) -> None:
        scan = self.model.sources.discovered
        self.files.setVisible(scan is not None)
        self.load.setVisible(scan is not None)
        if scan is None:
            return
        self.title.set_text(scan.name)
        self.files.setRowCount(len(scan.sources))
        for k, source in enumerate(scan.sources):
            self.files.setCellWidget(k, 0, self._modality_box(k))
            channel = "" if source.channel is None else f", channel {source.channel + 1}"
            text = f"{source.title}{channel}\n{source.grid.describe()}"
            note = f"\nignored: {source.exclusion_reason}" if source.exclusion_reason else ""
            item = QTableWidgetItem(
                text + (note if self.model.sources.modalities[k] is None else "")
            )
            item.setToolTip(item.text())
            self.files.setItem(k, 1, item)
            self.files.setCellWidget(k, 2, self._reference_button(k))
            self.files.setRowHeight(k, _LINES_PER_ROW * self.fontMetrics().lineSpacing() + 8)
        self.files.setMinimumHeight(min(290, len(scan.sources) * self.files.rowHeight(0) + 30))
        problems = self.model.sources.issues()
        self.problems.set_text("\n".join(problems))
        self.load.setEnabled(not problems)
        assumptions = (assumption.text for assumption in scan.assumptions)
        self.notices.set_text("\n".join((*assumptions, *scan.skipped)))

    def _modality_box(self, k: int) -> QComboBox:
        box = QComboBox()
        box.setEditable(True)
        box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        box.addItems([*MODALITIES, _IGNORE])
        box.setCurrentText(self.model.sources.modalities[k] or _IGNORE)
        box.setToolTip(
            "Modality of this file. Choose one or type a name; choose 'ignore' to skip the file."
        )
        box.setMinimumWidth(96)
        # Only when the edit is finished: the change rebuilds the table.
        box.activated.connect(lambda _: self._name(k, box.currentText()))
        box.lineEdit().editingFinished.connect(lambda: self._name(k, box.currentText()))
        return box

    def _name(self, k: int, text: str) -> None:
        modality = None if text == _IGNORE else text.strip() or None
        if modality != self.model.sources.modalities[k]:
            self.model.sources.set_modality(k, modality)

    def _reference_button(self, k: int) -> QRadioButton:
        radio = QRadioButton()
        modality = self.model.sources.modalities[k]
        radio.setEnabled(modality is not None)
        radio.setChecked(modality is not None and modality == self.model.sources.chosen_reference())
        radio.setToolTip(
            "Reference modality: resample all others to its grid and save results on it."
        )
        radio.clicked.connect(lambda: self.model.sources.set_reference(modality or ""))
        return radio

    def _show_case(self) -> None:
        case = self.model.case
        if case is None:
            return
        self.title.set_text(f"{case.name}: {case.grid.describe()}")
        for k, modality in enumerate(self.model.sources.modalities):
            item = self.files.item(k, 1)
            if (
                modality is not None
                and modality in self.model.intensity_ranges
                and item is not None
            ):
                low, high = self.model.intensity_ranges[modality]
                description = item.text().split("\nvalues")[0]
                unit = case.units.get(modality, "")
                item.setText(f"{description}\nvalues {low:.4g} to {high:.4g} {unit}".rstrip())
        skipped = self.model.sources.discovered.skipped if self.model.sources.discovered else ()
        notices = [notice for notice in case.notices if notice != brain_notice(case)]
        self.notices.set_text("\n".join((*notices, *skipped)))

    def _on_notice(self, sentence: str) -> None:
        self.notices.set_text("\n".join(filter(None, (self.notices.text(), sentence))))
