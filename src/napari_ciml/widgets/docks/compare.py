"""The dock widget *Compare*: a label map against a reference, another reader or a run."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QFileDialog, QTableWidget, QTableWidgetItem

from napari_ciml.cases.formats.volumes import SUFFIXES
from napari_ciml.metrics.agreement import RegionScore
from napari_ciml.widgets.controllers.comparison import COMPARING, READING
from napari_ciml.widgets.panels.common import (
    QUIET_COLOUR,
    WrappingLabel,
    button,
    label,
    row,
    table,
)
from napari_ciml.widgets.panels.dock import LabelMapDock, save_table
from napari_ciml.widgets.panels.job_bar import JobBar

if TYPE_CHECKING:
    from napari.viewer import Viewer

_NONE = "none"
_EMPTY = "Choose a reference: a file, the previous run, or another label map."
_LEGEND = (
    "Select a region to show its difference. Grey: agreement; blue: missed (false negative); "
    "orange: added (false positive)."
)


class CompareWidget(LabelMapDock):
    """Compare a label map with a reference.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.comparison = self.session.reference_comparison
        self.target = WrappingLabel()
        self.references = QComboBox()
        self.references.setToolTip("Reference to compare with.")
        self.browse = button(
            "File ...", "Open a reference segmentation or another reader's label map."
        )
        self.conventions = QComboBox()
        self.conventions.setToolTip(
            "Label convention of the file: the label values of WT (whole tumour), TC (tumour core) "
            "and ET (enhancing tumour)."
        )
        self.convention_label = label("Label convention")
        self.jobs = JobBar(self, COMPARING, runner=self.session.jobs.measure)
        self.reading = JobBar(self, READING, runner=self.session.jobs.io)
        self.notices = WrappingLabel()
        self.scores = table("Region", "mL", "Ref. mL", "Dice", "HD95", "ASSD")
        self.scores.setToolTip(
            "Volumes in mL; HD95 (95th percentile of the Hausdorff distance) and ASSD (average "
            "symmetric surface distance) in mm."
        )
        self.scores.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.scores.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.hide_difference = button(
            "Hide difference", "Hide the difference and show the label map again."
        )
        self.save = button("Save table ...", "Save this table as CSV.")
        self.state = WrappingLabel(_EMPTY, QUIET_COLOUR)
        self.column.addWidget(self.target)
        self.column.addLayout(row(label("with"), self.references, self.browse, widest=1))
        self.column.addLayout(row(self.convention_label, self.conventions))
        for part in (self.notices, self.scores):
            self.column.addWidget(part)
        self.column.addLayout(row(self.hide_difference, self.save))
        self.column.addWidget(self.state)
        self.column.addStretch()
        self.column.addWidget(self.reading)
        self.column.addWidget(self.jobs)
        self.add_footer()
        self.references.activated.connect(self._on_reference)
        self.browse.clicked.connect(self._choose_file)
        self.conventions.activated.connect(self._set_convention)
        self.scores.cellClicked.connect(lambda k, _: self._show_difference(k))
        self.scores.currentCellChanged.connect(lambda k, *_: self._show_difference(k))
        self.hide_difference.clicked.connect(self._hide)
        self.save.clicked.connect(self._save)
        self.active_map.changed.connect(self._list_others)
        self.comparison.changed.connect(self._list_others)
        self.findings.reference_changed.connect(self._show_reference)
        self.findings.comparison_changed.connect(self._show)
        self._show_reference()
        self._show()
        self.active_map.watch()

    def read(self, path: Path) -> None:
        """Compare with a label map file."""
        self.run_intent(self.comparison.compare_with_file, path)

    def _choose_file(self) -> None:
        kinds = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        path, _ = QFileDialog.getOpenFileName(self, "Compare with", filter=f"Label maps ({kinds})")
        if path:
            self.read(Path(path))

    def _on_reference(self) -> None:
        name = self.references.currentText()
        if name == _NONE:
            self.comparison.compare_with(None)
        elif self.findings.reference is None or name != self.findings.reference.name:
            self.comparison.compare_with_named(name)

    def _set_convention(self) -> None:
        reference = self.findings.reference
        if reference is not None and self.conventions.currentText() in reference.conventions:
            self.comparison.compare_with(reference.with_convention(self.conventions.currentText()))

    def _list_others(self) -> None:
        reference, current = self.findings.reference, self.active_map.current()
        self.target.set_text(f"Compare '{current.name}'" if current is not None else "")
        names = [_NONE, *self.comparison.references()]
        if reference is not None and reference.name not in names:
            names.append(reference.name)
        self.references.clear()
        self.references.addItems(names)
        self.references.setCurrentText(reference.name if reference is not None else _NONE)

    def _show_reference(self) -> None:
        self.show_error("")
        reference = self.findings.reference
        self._list_others()
        conventions = reference.conventions if reference is not None else ()
        self.conventions.clear()
        self.conventions.addItems(["choose ...", *conventions])
        for part in (self.convention_label, self.conventions):
            part.setVisible(len(conventions) > 1)
        self.notices.set_text("\n".join(reference.notices) if reference is not None else "")

    def _show(self) -> None:
        comparison = self.findings.comparison
        scores = comparison.scores if comparison is not None else ()
        for part in (self.scores, self.hide_difference, self.save):
            part.setVisible(bool(scores))
        self.state.set_text(_LEGEND if scores else _EMPTY)
        self.scores.blockSignals(True)
        self.scores.setRowCount(len(scores))
        for k, score in enumerate(scores):
            for column, text in enumerate(_row_texts(score)):
                self.scores.setItem(k, column, QTableWidgetItem(text))
        self.scores.setFixedHeight(self.scores.rowHeight(0) * len(scores) + 32)
        selected = [k for k, score in enumerate(scores) if score.region == self.comparison.shown]
        self.scores.setCurrentCell(*(selected or [-1]), 0)
        self.scores.blockSignals(False)

    def _save(self) -> None:
        comparison = self.findings.comparison
        if comparison is not None:
            save_table(self, "comparison.csv", [asdict(score) for score in comparison.scores])

    def _show_difference(self, k: int) -> None:
        comparison = self.findings.comparison
        if comparison is not None and 0 <= k < len(comparison.scores):
            self.comparison.show_difference(comparison.scores[k].region, go_there=True)

    def _hide(self) -> None:
        self.scores.blockSignals(True)
        self.scores.setCurrentCell(-1, -1)
        self.scores.blockSignals(False)
        self.comparison.hide_difference()


def _row_texts(score: RegionScore) -> tuple[str, ...]:
    lengths = (score.hd95_mm, score.surface_distance_mm)
    return (
        score.region,
        f"{score.volume_prediction_ml:.1f}",
        f"{score.volume_reference_ml:.1f}",
        f"{score.dice:.3f}",
        *("-" if mm != mm else f"{mm:.1f}" for mm in lengths),
    )
