"""The dock widget *Explain*: weights as a chart and a table, maps as layers."""

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSlider, QTableWidget, QTableWidgetItem

from napari_ciml.decomposition import Pair
from napari_ciml.widgets.parts import QUIET_COLOUR, Dock, JobBar, Words, button, label, row, table
from napari_ciml.widgets.session import session_of
from napari_ciml.widgets.weight_chart import WeightChart

if TYPE_CHECKING:
    from napari.viewer import Viewer

_MEANING = (
    "A map shows where the message of an auxiliary modality raised the evidence for a region in "
    "the segmentor of the primary one, beyond what the primary shows. It does not show where the "
    "tumour is, nor that the modality is needed. Weights compare the auxiliaries of one row."
)

_NOT_YET = "Segment the case first, in Segment; then see here what each auxiliary added."
_READY = "Press Explain: weights and maps of what each auxiliary added appear here."


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
        self.jobs = JobBar(self, "Explaining")
        self.chart = WeightChart()
        self.weights = table("Primary", "Region", "Auxiliary", "Weight")
        self.weights.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.weights.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.weights.setToolTip("Choose a row to see its map over the modality it belongs to.")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(80)
        self.opacity.setToolTip("Opacity of the map.")
        self.hide_map = button("Hide map", "Take the map away.")
        self.state = Words(colour=QUIET_COLOUR)
        for part in (self.run, self.jobs, self.state, self.chart, self.weights):
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
        self.review.explanation_changed.connect(self._show)
        self.review.segmentation_changed.connect(self._show)
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

    def _show(self) -> None:
        found = self.review.explanation
        for part in (self.chart, self.weights):
            part.setVisible(found is not None)
        self._rows = list(found.weights) if found else []
        self.run.setEnabled(self.review.segmentation is not None)
        if found is None:
            ready = self.review.segmentation is not None
            self.state.say(_READY if ready else _NOT_YET)
            return
        self.state.say("\n".join(found.notices))
        self.chart.show_weights(found.weights)
        self.weights.setRowCount(len(self._rows))
        for k, (pair, auxiliary) in enumerate(self._rows):
            weight = found.weights[pair, auxiliary]
            text = "-" if weight != weight else f"{weight:.2f}"
            for column, value in enumerate((pair.primary, pair.region, auxiliary, text)):
                self.weights.setItem(k, column, QTableWidgetItem(value))
        self.weights.setMinimumHeight(120)
