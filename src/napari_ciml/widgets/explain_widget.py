"""The dock widget *Explain*: weights as a chart and a table, maps as layers."""

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QSlider, QTableWidget, QTableWidgetItem

from napari_ciml.decomposition import Pair
from napari_ciml.widgets.live import EXPLAINING
from napari_ciml.widgets.maps_window import MapsWindow
from napari_ciml.widgets.parts import QUIET_COLOUR, Dock, JobBar, Words, button, label, row, table
from napari_ciml.widgets.question_panel import Beside, QuestionPanel
from napari_ciml.widgets.questions import TITLE
from napari_ciml.widgets.session import session_of
from napari_ciml.widgets.weight_chart import WeightChart

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_ciml.explanation.explain import Explanation

_MEANING = (
    "A map shows where the message of an auxiliary raised the evidence for the region, beyond what "
    "the primary shows: not where the tumour is, nor that the modality is needed (Sensitivity, in "
    "Runs, says what muting costs). How far maps can be believed was measured: docs/results.md, "
    "'Are the maps faithful?'."
)

_NOT_YET = "Segment the case first, in Segment; then see here what each auxiliary added."
_READY = "Press Explain: weights and maps of what each auxiliary added appear here."
_UNUSUAL = 2.0
"""Standard deviations from the mean of the cases measured from which on a weight stands out."""

_UNUSUAL_COLOUR = "#ffb454"


class ExplainWidget(Dock):
    """Show what each auxiliary modality added.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where maps are shown.
    """

    def __init__(self, viewer: "Viewer") -> None:
        super().__init__(session_of(viewer))
        self.run = button("Explain", "Map what each auxiliary modality added.")
        self.maps = button("Maps side by side", "All maps in this slice, as in Fig. 12.")
        self.window_of_maps: MapsWindow | None = None
        self.jobs = JobBar(self, "Explaining", EXPLAINING, TITLE)
        self.questions = QuestionPanel(self)
        self.chart = WeightChart()
        self.weights = table("Primary", "Region", "Auxiliary", "Weight", "Compared")
        self.weights.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.weights.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.weights.setToolTip("Choose a row to see its map over the modality it belongs to.")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(80)
        self.opacity.setToolTip("Opacity of the map.")
        self.hide_map = button("Hide map", "Take the map away.")
        self.state = Words(colour=QUIET_COLOUR)
        self.column.addLayout(row(self.run, self.maps))
        for part in (self.jobs, self.questions, self.state, self.chart, self.weights):
            self.column.addWidget(part)
        self.column.addLayout(row(label("Map opacity"), self.opacity, self.hide_map))
        self.column.addWidget(Words(_MEANING, QUIET_COLOUR))
        self.column.addStretch()
        self.finish()
        self.run.clicked.connect(lambda: self.attempt(self.session.explain))
        self.chart.chosen.connect(self.choose)
        self.weights.currentCellChanged.connect(self._row_chosen)
        self.opacity.valueChanged.connect(lambda v: self.session.layers.set_map_opacity(v / 100))
        self.hide_map.clicked.connect(self._hide)
        self.maps.clicked.connect(self._open_maps)
        self.session.questions.changed.connect(self._show)
        self.review.segmentation_changed.connect(self._show)
        self.questions.beside_changed.connect(self._show_weights)
        self._answer: Explanation | None = None
        self._rows: list[tuple[Pair, str]] = []
        self._show()

    def choose(self, pair: Pair, auxiliary: str) -> None:
        """Show one map; chart and table follow."""
        self.weights.setCurrentCell(self._rows.index((pair, auxiliary)), 0)

    def _row_chosen(self, k: int) -> None:
        if not 0 <= k < len(self._rows):
            return
        pair, auxiliary = self._rows[k]
        self.chart.mark(pair, auxiliary)
        self.session.show_map(pair, auxiliary)
        self.session.layers.set_map_opacity(self.opacity.value() / 100)

    def _hide(self) -> None:
        self.weights.setCurrentCell(-1, -1)
        self.chart.mark(None, "")
        self.session.layers.hide_results()

    def _open_maps(self) -> None:
        self.window_of_maps = MapsWindow(self.session, self)
        self.window_of_maps.grid.chosen.connect(self.choose)
        self.window_of_maps.show()
        self.window_of_maps.draw()

    def _show(self) -> None:
        found = self.session.questions.shown
        for part in (self.chart, self.weights):
            part.setVisible(found is not None)
        ready = self.review.segmentation is not None
        self.run.setEnabled(ready)
        self.maps.setEnabled(found is not None)
        if found is None:
            self._rows, self._answer = [], None
            self.state.say(_READY if ready else _NOT_YET)
            return
        self.state.say("\n".join(found.notices))
        before, marked = self._answer, self._marked()
        self._rows, self._answer = list(found.weights), found
        self._show_weights()
        if found is not before:
            self._show_again(found, marked)

    def _marked(self) -> tuple[Pair, str] | None:
        k = self.weights.currentRow()
        return self._rows[k] if 0 <= k < len(self._rows) else None

    def _show_again(self, found: "Explanation", marked: tuple[Pair, str] | None) -> None:
        """Show the map that was shown, of another answer; of a question at least the strongest."""
        asked = self.session.questions.chosen is not None
        wanted = marked if marked in self._rows else found.strongest
        self.weights.setCurrentCell(-1, -1)
        if wanted is not None and (marked or asked):
            self.choose(*wanted)

    def _show_weights(self) -> None:
        found = self._answer
        if found is None:
            return
        beside = self.questions.compared_with()
        self.chart.show_weights(found.weights, beside.weights if beside else {})
        self.weights.setColumnHidden(4, beside is None)
        self.weights.setRowCount(len(self._rows))
        for k, (pair, auxiliary) in enumerate(self._rows):
            weight = found.weights[pair, auxiliary]
            texts = (pair.primary, pair.region, auxiliary, _text(weight))
            for column, value in enumerate((*texts, _compared(beside, pair, auxiliary))):
                item = QTableWidgetItem(value)
                if column > 2 and beside and _unusual(beside, (pair, auxiliary), weight):
                    item.setForeground(QColor(_UNUSUAL_COLOUR))
                    item.setToolTip("Far from what is usual in the cases measured.")
                self.weights.setItem(k, column, item)
        self.weights.setMinimumHeight(70)


def _text(weight: float) -> str:
    return "-" if weight != weight else f"{weight:.2f}"


def _compared(beside: Beside | None, pair: Pair, auxiliary: str) -> str:
    key = (pair, auxiliary)
    if beside is None or key not in beside.weights:
        return ""
    spread = f" ± {beside.spread[key]:.2f}" if key in beside.spread else ""
    return f"{_text(beside.weights[key])}{spread}"


def _unusual(beside: Beside, key: tuple[Pair, str], weight: float) -> bool:
    spread = beside.spread.get(key)
    return spread is not None and abs(weight - beside.weights[key]) > _UNUSUAL * spread
