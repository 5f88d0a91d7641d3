"""The dock widget *Runs*: run history, comparison of two runs, sensitivity."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
)

from napari_ciml.session.comparison import LabelMapDiff
from napari_ciml.session.request import SegmentationRequest, describe_changes
from napari_ciml.session.runs import Run
from napari_ciml.widgets.layers.run_comparison import FIRST_COLOUR, SECOND_COLOUR
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, row, table
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.run_change import ChangePanel
from napari_ciml.widgets.panels.sensitivity import SensitivityPanel
from napari_ciml.widgets.panels.texts import count_text

if TYPE_CHECKING:
    from napari.viewer import Viewer

_HELP = (
    "All runs of this case, the latest last. Double-click a name to rename a run; renamed runs are "
    "kept longest. Select one run to restore it, two to compare them."
)


class RunsWidget(Dock):
    """Restore a run, compare two runs, measure the sensitivity to each message.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.comparison = self.session.run_comparison
        self.runs = table("Run", "Volumes (mL)")
        self.runs.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.runs.setSelectionMode(QTableWidget.SelectionMode.ExtendedSelection)
        self.runs.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self.runs.setToolTip("Hold Ctrl to select a second run.")
        header = self.runs.horizontalHeader()
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.runs.setMinimumHeight(110)
        self.details = WrappingLabel(colour=QUIET_COLOUR)
        self.restore = button(
            "Restore run", "Show the selected run and restore its decomposition and options."
        )
        self.compare = button(
            "Compare runs", "Show two selected runs as contours over one modality."
        )
        self.change = ChangePanel(self.session)
        self.region = QComboBox()
        self.region.setToolTip("Region whose contours are compared.")
        self.side_by_side = QCheckBox("Side by side")
        self.side_by_side.setToolTip(
            "Show the two label maps in two linked panes over the active modality."
        )
        self.end = button("End comparison", "Hide the contours and label maps of the comparison.")
        self.compared = WrappingLabel()
        self.scores = table("Region", "Run 1 (mL)", "Run 2 (mL)", "Dice")
        self.scores.setToolTip("Volumes of the two runs and the Dice between them.")
        self.scores.verticalHeader().setDefaultSectionSize(26)
        self.sensitivity = SensitivityPanel(self)
        for part in (WrappingLabel(_HELP, QUIET_COLOUR), self.runs, self.details):
            self.column.addWidget(part)
        self.column.addLayout(row(self.restore, self.compare))
        self.column.addWidget(self.change)
        self.column.addLayout(row(self.region, self.side_by_side))
        self.column.addWidget(self.end)
        for part in (self.compared, self.scores, self.sensitivity):
            self.column.addWidget(part)
        self.column.addStretch()
        self.add_footer()
        self.restore.clicked.connect(lambda: self.run_intent(self._go_back))
        self.compare.clicked.connect(lambda: self.run_intent(self._compare))
        self.end.clicked.connect(self.comparison.end)
        self.side_by_side.toggled.connect(self.comparison.set_side_by_side)
        self.region.currentTextChanged.connect(self.comparison.show)
        self.runs.itemChanged.connect(self._renamed)
        self.runs.itemSelectionChanged.connect(self._selected)
        self.model.runs.changed.connect(self._show)
        self.comparison.changed.connect(self._show_pair)
        self._show()
        self._show_pair()

    def chosen(self) -> list[Run]:
        """Return the runs that are selected, oldest first."""
        rows = {index.row() for index in self.runs.selectedIndexes()}
        return [run for k, run in enumerate(self.model.runs) if k in rows]

    def _show(self) -> None:
        runs = self.model.runs
        with QSignalBlocker(self.runs):
            self.runs.setRowCount(len(runs))
            for k, run in enumerate(runs):
                name, volumes = QTableWidgetItem(run.name), QTableWidgetItem(_volumes(run))
                font = name.font()
                font.setBold(run is runs.current)
                name.setFont(font)
                self.runs.setItem(k, 0, name)
                self.runs.setItem(k, 1, volumes)
                volumes.setFlags(volumes.flags() & ~Qt.ItemFlag.ItemIsEditable)
                name.setToolTip(describe(run, runs[0]))
        if not self.chosen():
            self.details.set_text(
                f"{count_text(len(runs), 'run')}." if runs else "Segment the case first."
            )
        self._selected()

    def _selected(self) -> None:
        chosen = self.chosen()
        self.restore.setEnabled(len(chosen) == 1)
        self.compare.setEnabled(len(chosen) == 2)
        if chosen:
            first = self.model.runs[0]
            self.details.set_text("\n".join(describe(run, first) for run in chosen))

    def _renamed(self, item: QTableWidgetItem) -> None:
        self.model.runs.rename(self.model.runs[item.row()], item.text())
        self._show()

    def _go_back(self) -> None:
        self.comparison.end()
        (run,) = self.chosen()
        self.session.live.restore_run(run)

    def _compare(self) -> None:
        first, second = self.chosen()
        self.comparison.compare(first, second)

    def _show_pair(self) -> None:
        pair, difference = self.comparison.pair, self.comparison.diff
        for part in (self.region, self.side_by_side, self.end, self.compared, self.scores):
            part.setVisible(difference is not None)
        with QSignalBlocker(self.side_by_side):
            self.side_by_side.setChecked(self.comparison.side_by_side)
        if pair is None or difference is None:
            return
        self.region.setEnabled(not self.comparison.side_by_side)
        legend = zip((FIRST_COLOUR, SECOND_COLOUR), pair, strict=True)
        self.compared.set_text(
            "<br>".join(f'<span style="color: {c}">■</span> {run.name}' for c, run in legend)
        )
        with QSignalBlocker(self.region):
            self.region.clear()
            self.region.addItems(difference.regions)
            self.region.setCurrentText(self.comparison.region)
        self._show_scores(difference)

    def _show_scores(self, difference: LabelMapDiff) -> None:
        self.scores.setRowCount(len(difference.regions))
        for k, (name, region) in enumerate(difference.regions.items()):
            texts = (
                name,
                f"{region.before_ml:.1f}",
                f"{region.after_ml:.1f}",
                f"{region.dice:.3f}",
            )
            for column, text in enumerate(texts):
                self.scores.setItem(k, column, QTableWidgetItem(text))
        self.scores.setFixedHeight(26 * len(difference.regions) + 30)


def describe(run: Run, first: Run) -> str:
    """Return the decomposition, the options and the checkpoint of a run as text."""
    edited = "; ".join(describe_changes(first.request, run.request)) if run is not first else ""
    decomposition = run.segmentation.plan.decomposition
    pairs = ", ".join(f"{pair.region} from {pair.primary}" for pair in decomposition.pairs)
    options = "; ".join((pairs, *describe_changes(SegmentationRequest(decomposition), run.request)))
    return f"{run.name}: {edited or options}; checkpoint {run.info.name}."


def _volumes(run: Run) -> str:
    volumes = run.segmentation.volumes_ml.items()
    return "  ".join(f"{name} {ml:.1f}" for name, ml in volumes)
