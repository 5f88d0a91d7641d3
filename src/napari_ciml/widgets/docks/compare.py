"""The dock widget *Compare*: a label map against a reference, another reader, another run."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QFileDialog, QTableWidget, QTableWidgetItem

from napari_ciml.cases.formats.volumes import SUFFIXES
from napari_ciml.metrics.agreement import RegionScore
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

_NOTHING = "nothing"
_EMPTY = "Choose what the label map is compared with: a file, the run before, another label map."
_LEGEND = (
    "Choose a region to see the difference. Grey: agreed; blue: missed, in the reference only; "
    "orange: added, not in the reference."
)


class CompareWidget(LabelMapDock):
    """Say how well two label maps agree.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Where they are shown.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.comparison = self.session.reference_comparison
        self.target = WrappingLabel()
        self.references = QComboBox()
        self.references.setToolTip("What the label map is compared with.")
        self.browse = button("File ...", "A reference, or another reader's label map.")
        self.conventions = QComboBox()
        self.conventions.setToolTip("Which label values make WT, TC and ET in that file.")
        self.convention_label = label("Its labels are those of")
        self.jobs = JobBar(self, "Comparing", runner=self.active_map.runner)
        self.reading = JobBar(self, "Reading the reference", runner=self.session.autosave.runner)
        self.notices = WrappingLabel()
        self.scores = table("Region", "mL", "ref. mL", "Dice", "HD95", "mean")
        self.scores.setToolTip("HD95 and mean distance between the surfaces in mm.")
        self.scores.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.scores.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.hide_difference = button("Hide difference", "Show the label map again.")
        self.save = button("Save table ...", "Save these figures as CSV.")
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
        self.references.activated.connect(self._choose)
        self.browse.clicked.connect(self._ask)
        self.conventions.activated.connect(self._read_as)
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
        """Compare with a file."""
        self.run_intent(self.comparison.compare_with_file, path)

    def _ask(self) -> None:
        kinds = " ".join(f"*{suffix}" for suffix in SUFFIXES)
        path, _ = QFileDialog.getOpenFileName(self, "Compare with", filter=f"Label maps ({kinds})")
        if path:
            self.read(Path(path))

    def _choose(self) -> None:
        name = self.references.currentText()
        if name == _NOTHING:
            self.comparison.compare_with(None)
        elif self.findings.reference is None or name != self.findings.reference.name:
            self.comparison.compare_with_named(name)

    def _read_as(self) -> None:
        reference = self.findings.reference
        if reference is not None and self.conventions.currentText() in reference.conventions:
            self.comparison.compare_with(reference.with_convention(self.conventions.currentText()))

    def _list_others(self) -> None:
        reference, current = self.findings.reference, self.active_map.current()
        self.target.set_text(f"Compare '{current.name}'" if current is not None else "")
        names = [_NOTHING, *self.comparison.references()]
        if reference is not None and reference.name not in names:
            names.append(reference.name)
        self.references.clear()
        self.references.addItems(names)
        self.references.setCurrentText(reference.name if reference is not None else _NOTHING)

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
        found = self.findings.comparison
        scores = found.scores if found is not None else ()
        for part in (self.scores, self.hide_difference, self.save):
            part.setVisible(bool(scores))
        self.state.set_text(_LEGEND if scores else _EMPTY)
        self.scores.blockSignals(True)
        self.scores.setRowCount(len(scores))
        for k, score in enumerate(scores):
            for column, text in enumerate(_texts(score)):
                self.scores.setItem(k, column, QTableWidgetItem(text))
        self.scores.setFixedHeight(self.scores.rowHeight(0) * len(scores) + 32)
        shown = [k for k, score in enumerate(scores) if score.region == self.comparison.shown]
        self.scores.setCurrentCell(*(shown or [-1]), 0)
        self.scores.blockSignals(False)

    def _save(self) -> None:
        found = self.findings.comparison
        if found is not None:
            save_table(self, "comparison.csv", [asdict(score) for score in found.scores])

    def _show_difference(self, k: int) -> None:
        found = self.findings.comparison
        if found is not None and 0 <= k < len(found.scores):
            self.comparison.show_difference(found.scores[k].region, go_there=True)

    def _hide(self) -> None:
        self.scores.blockSignals(True)
        self.scores.setCurrentCell(-1, -1)
        self.scores.blockSignals(False)
        self.comparison.hide_difference()


def _texts(score: RegionScore) -> tuple[str, ...]:
    lengths = (score.hd95_mm, score.surface_distance_mm)
    return (
        score.region,
        f"{score.volume_prediction_ml:.1f}",
        f"{score.volume_reference_ml:.1f}",
        f"{score.dice:.3f}",
        *("-" if mm != mm else f"{mm:.1f}" for mm in lengths),
    )
