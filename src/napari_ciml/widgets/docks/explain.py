"""The dock widget *Explain*: weights as a chart and a table, maps as layers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QHeaderView, QSlider, QTableWidget, QTableWidgetItem

from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.result import Explanation
from napari_ciml.explanation.typical_weights import FAR, flag_atypical_weights
from napari_ciml.paths import faithfulness_report
from napari_ciml.widgets.controllers.explanation import TITLE
from napari_ciml.widgets.controllers.live import EXPLAINING
from napari_ciml.widgets.panels.common import (
    QUIET_COLOUR,
    WrappingLabel,
    button,
    label,
    row,
    table,
)
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.job_bar import JobBar
from napari_ciml.widgets.panels.maps_window import MapsWindow
from napari_ciml.widgets.panels.markdown_dialog import MarkdownDialog
from napari_ciml.widgets.panels.questions import ComparisonWeights, QuestionPanel
from napari_ciml.widgets.panels.readable_colours import readable
from napari_ciml.widgets.panels.weight_chart import (
    ATYPICAL_COLOUR,
    RANGE_ROLE,
    TypicalRangeDelegate,
    WeightChart,
)

if TYPE_CHECKING:
    from napari.viewer import Viewer


_MEANING = (
    "A map shows where the message of an auxiliary raised the evidence for the region, beyond what "
    "the primary shows: not where the tumour is, nor that the modality is needed (Sensitivity, in "
    "Runs, says what muting costs). A weight counts what lies inside the region. "
    "<a href='faithful' style='color: #7fb2ff'>How far maps can be believed was measured.</a>"
)

_NOT_YET = "Segment the case first, in Segment; then see here what each auxiliary added."
_READY = "Press Explain: weights and maps of what each auxiliary added appear here."
_USUAL = "Every weight is as usual: within two standard deviations of the cases measured."
_WEIGHT, _COMPARED = 2, 3
"""Columns."""

_TOLD = 3
"""So many unusual weights are told in words; the table marks all."""


class ExplainWidget(Dock):
    """Show what each auxiliary modality added.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Where maps are shown.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer, scrolls=True)
        self.run = button("Explain", "Map what each auxiliary modality added.")
        self.maps = button("Maps side by side", "All maps in this slice, as in Fig. 12.")
        self.maps_window: MapsWindow | None = None
        self.dialog: MarkdownDialog | None = None
        self.jobs = JobBar(self, "Explaining", EXPLAINING, TITLE)
        self.questions = QuestionPanel(self)
        self.chart = WeightChart()
        self.weights = table("Pair", "Auxiliary", "Weight", "Compared")
        self.weights.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.weights.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.weights.setToolTip("Choose a row to see its map over the modality it belongs to.")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(80)
        self.opacity.setToolTip("Opacity of the map.")
        self.hide_map = button("Hide map", "Take the map away.")
        self.state = WrappingLabel(colour=QUIET_COLOUR)
        self.atypical = WrappingLabel(colour=ATYPICAL_COLOUR)
        self.meaning = WrappingLabel(_MEANING, QUIET_COLOUR)
        self.weights.setWordWrap(False)
        header = self.weights.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_COMPARED, QHeaderView.ResizeMode.Stretch)
        self.weights.setItemDelegateForColumn(_COMPARED, TypicalRangeDelegate(self.weights))
        self.column.addLayout(row(self.run, self.maps))
        for part in (
            self.jobs,
            self.questions,
            self.state,
            self.chart,
            self.atypical,
            self.weights,
        ):
            self.column.addWidget(part)
        self.column.addLayout(row(label("Map opacity"), self.opacity, self.hide_map))
        self.column.addWidget(self.meaning)
        self.column.addStretch()
        self.add_footer()
        self.run.clicked.connect(lambda: self.run_intent(self.session.segmentation.explain))
        self.chart.chosen.connect(self.choose)
        self.weights.currentCellChanged.connect(self._row_chosen)
        self.opacity.valueChanged.connect(
            lambda v: self.session.explanation.map.set_opacity(v / 100)
        )
        self.hide_map.clicked.connect(self.session.explanation.map.hide)
        self.maps.clicked.connect(self._open_maps)
        self.meaning.linkActivated.connect(lambda _: self.run_intent(self._read))
        self.session.explanation.changed.connect(self._show)
        self.session.explanation.map.changed.connect(self._show_marked)
        self.model.segmentation_changed.connect(self._show)
        self.questions.reference_changed.connect(self._show_weights)
        self._answer: Explanation | None = None
        self._rows: list[tuple[Pair, str]] = []
        self._show()

    def choose(self, pair: Pair, auxiliary: str) -> None:
        """Show one map; chart and table follow."""
        self.session.explanation.show_map(pair, auxiliary)

    def _row_chosen(self, k: int) -> None:
        if 0 <= k < len(self._rows):
            self.choose(*self._rows[k])

    def _show_marked(self) -> None:
        """Mark the map that is shown in chart and table."""
        shown = self.session.explanation.map
        pair, auxiliary = shown.marked or (None, "")
        self.chart.mark(pair, auxiliary)
        there = shown.marked in self._rows
        k = self._rows.index((pair, auxiliary)) if there and pair is not None else -1
        with QSignalBlocker(self.weights), QSignalBlocker(self.opacity):
            self.weights.setCurrentCell(k, 0 if there else -1)
            self.opacity.setValue(round(100 * shown.opacity))

    def _read(self) -> None:
        text, folder = faithfulness_report()
        self.dialog = MarkdownDialog(self, "How far maps can be believed", text, folder)
        self.dialog.show()

    def _open_maps(self) -> None:
        self.maps_window = MapsWindow(self.session, self.questions.reference_answer, self)
        self.questions.reference_changed.connect(self.maps_window.follow)
        self.maps_window.grid.chosen.connect(self.choose)
        self.maps_window.show()
        self.maps_window.draw()

    def _show(self) -> None:
        found = self.session.explanation.shown
        for part in (self.chart, self.weights):
            part.setVisible(found is not None)
        ready = self.model.segmentation is not None
        self.run.setEnabled(ready)
        self.maps.setEnabled(found is not None)
        if found is None:
            self._rows, self._answer = [], None
            self.state.set_text(_READY if ready else _NOT_YET)
            return
        self._rows, self._answer = list(found.weights), found
        self._show_weights()
        self._show_marked()

    def _show_weights(self) -> None:
        found = self._answer
        if found is None:
            return
        beside = self.questions.reference_weights()
        measured = self.questions.weight_statistics() if beside and beside.spread else ()
        far = flag_atypical_weights(found.weights, measured)
        self.chart.show_weights(found.weights, beside.weights if beside else {}, frozenset(far))
        self.atypical.set_text(_in_words(far))
        as_usual = (_USUAL,) if beside and beside.spread and not far else ()
        self.state.set_text("\n".join((*found.notices, *as_usual)))
        self.weights.setColumnHidden(_COMPARED, beside is None)
        with QSignalBlocker(self.weights):
            self.weights.setRowCount(len(self._rows))
        for k, key in enumerate(self._rows):
            pair, auxiliary = key
            weight = found.weights[key]
            texts = (" ".join(pair), auxiliary, _text(weight))
            for column, value in enumerate((*texts, _compared(beside, key))):
                item = QTableWidgetItem(value)
                if column >= _WEIGHT and key in far:
                    ground = self.weights.palette().base().color()
                    item.setForeground(readable(ATYPICAL_COLOUR, ground))
                    item.setToolTip(far[key])
                if column == _COMPARED and beside and key in beside.spread:
                    mean, spread = beside.weights[key], beside.spread[key]
                    item.setData(RANGE_ROLE, (weight, mean - FAR * spread, mean + FAR * spread))
                self.weights.setItem(k, column, item)
        self.weights.setMinimumHeight(150)


def _in_words(far: Mapping[tuple[Pair, str], str]) -> str:
    if not far:
        return ""
    more = f"\nAnd {len(far) - _TOLD} more, marked below." if len(far) > _TOLD else ""
    return "Unusual: " + "\n".join(list(far.values())[:_TOLD]) + more


def _text(weight: float) -> str:
    return "-" if weight != weight else f"{weight:.2f}"


def _compared(beside: ComparisonWeights | None, key: tuple[Pair, str]) -> str:
    if beside is None or key not in beside.weights:
        return ""
    spread = f" ± {beside.spread[key]:.2f}" if key in beside.spread else ""
    return f"{_text(beside.weights[key])}{spread}"
