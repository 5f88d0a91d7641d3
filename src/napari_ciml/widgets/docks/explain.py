"""The dock widget *Explain*: complementary-information weights and maps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import QHeaderView, QSlider, QTableWidget, QTableWidgetItem

from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.result import Explanation
from napari_ciml.explanation.typical_weights import FAR, flag_atypical_weights
from napari_ciml.paths import faithfulness_report
from napari_ciml.widgets.controllers.explanation import EXPLAINING, EXPLAINING_EDIT, QUERYING
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
    "A map shows where the message of an auxiliary modality raised the evidence for the region "
    "beyond the primary. It shows neither where the tumour is nor that the modality is needed "
    "(see Sensitivity in Runs). A weight is the auxiliary's fraction of map values in the region. "
    "<a href='faithful' style='color: #7fb2ff'>How faithful are the maps?</a>"
)

_NO_SEGMENTATION = "Segment the case first, in Segment."
_READY = "Press Explain to compute complementary-information weights and maps."
_TYPICAL = "All weights are typical: within two standard deviations of the reference cases."
_WEIGHT, _REFERENCE = 2, 3
"""Columns."""

_MOST_LISTED = 3
"""Number of atypical weights listed as text; the table marks all."""


class ExplainWidget(Dock):
    """Show the complementary information of each auxiliary modality.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer, scrolls=True)
        self.run = button(
            "Explain",
            "Compute weights and maps of the complementary information of each auxiliary.",
        )
        self.maps = button(
            "Maps side by side", "Show all maps of the current slice in a window, as in Fig. 12."
        )
        self.maps_window: MapsWindow | None = None
        self.dialog: MarkdownDialog | None = None
        self.jobs = JobBar(self, EXPLAINING, EXPLAINING_EDIT, QUERYING)
        self.questions = QuestionPanel(self)
        self.chart = WeightChart()
        self.weights = table("Pair", "Auxiliary", "Weight", "Reference")
        self.weights.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.weights.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.weights.setToolTip("Select a row to show its map over the auxiliary modality.")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(80)
        self.opacity.setToolTip("Opacity of the map.")
        self.hide_map = button("Hide map", "Hide the map layer.")
        self.state = WrappingLabel(colour=QUIET_COLOUR)
        self.atypical = WrappingLabel(colour=ATYPICAL_COLOUR)
        self.meaning = WrappingLabel(_MEANING, QUIET_COLOUR)
        self.weights.setWordWrap(False)
        header = self.weights.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_REFERENCE, QHeaderView.ResizeMode.Stretch)
        self.weights.setItemDelegateForColumn(_REFERENCE, TypicalRangeDelegate(self.weights))
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
        self.run.clicked.connect(lambda: self.run_intent(self.session.explanation.explain))
        self.chart.chosen.connect(self.choose)
        self.weights.currentCellChanged.connect(self._row_chosen)
        self.opacity.valueChanged.connect(
            lambda v: self.session.explanation.map.set_opacity(v / 100)
        )
        self.hide_map.clicked.connect(self.session.explanation.map.hide)
        self.maps.clicked.connect(self._open_maps)
        self.meaning.linkActivated.connect(lambda _: self.run_intent(self._show_faithfulness))
        self.session.explanation.changed.connect(self._show)
        self.session.explanation.map.changed.connect(self._show_marked)
        self.model.segmentation_changed.connect(self._show)
        self.questions.reference_changed.connect(self._show_weights)
        self._answer: Explanation | None = None
        self._rows: list[tuple[Pair, str]] = []
        self._show()

    def choose(self, pair: Pair, auxiliary: str) -> None:
        """Show the map of a pair and an auxiliary; chart and table select it."""
        self.session.explanation.show_map(pair, auxiliary)

    def _row_chosen(self, k: int) -> None:
        if 0 <= k < len(self._rows):
            self.choose(*self._rows[k])

    def _show_marked(self) -> None:
        """Select the displayed map in chart and table."""
        displayed = self.session.explanation.map
        pair, auxiliary = displayed.selected or (None, "")
        self.chart.mark(pair, auxiliary)
        listed = displayed.selected in self._rows
        k = self._rows.index((pair, auxiliary)) if listed and pair is not None else -1
        with QSignalBlocker(self.weights), QSignalBlocker(self.opacity):
            self.weights.setCurrentCell(k, 0 if listed else -1)
            self.opacity.setValue(round(100 * displayed.opacity))

    def _show_faithfulness(self) -> None:
        text, folder = faithfulness_report()
        self.dialog = MarkdownDialog(self, "Faithfulness of the maps", text, folder)
        self.dialog.show()

    def _open_maps(self) -> None:
        self.maps_window = MapsWindow(self.session, self.questions.reference_answer, self)
        self.questions.reference_changed.connect(self.maps_window.follow)
        self.maps_window.grid.chosen.connect(self.choose)
        self.maps_window.show()
        self.maps_window.draw()

    def _show(self) -> None:
        explanation = self.session.explanation.shown
        for part in (self.chart, self.weights):
            part.setVisible(explanation is not None)
        ready = self.model.segmentation is not None
        self.run.setEnabled(ready)
        self.maps.setEnabled(explanation is not None)
        if explanation is None:
            self._rows, self._answer = [], None
            self.state.set_text(_READY if ready else _NO_SEGMENTATION)
            return
        self._rows, self._answer = list(explanation.weights), explanation
        self._show_weights()
        self._show_marked()

    def _show_weights(self) -> None:
        explanation = self._answer
        if explanation is None:
            return
        reference = self.questions.reference_weights()
        statistics = self.questions.weight_statistics() if reference and reference.spread else ()
        far = flag_atypical_weights(explanation.weights, statistics)
        self.chart.show_weights(
            explanation.weights, reference.weights if reference else {}, frozenset(far)
        )
        self.atypical.set_text(_atypical_text(far))
        typical = (_TYPICAL,) if reference and reference.spread and not far else ()
        self.state.set_text("\n".join((*explanation.notices, *typical)))
        self.weights.setColumnHidden(_REFERENCE, reference is None)
        with QSignalBlocker(self.weights):
            self.weights.setRowCount(len(self._rows))
        for k, key in enumerate(self._rows):
            pair, auxiliary = key
            weight = explanation.weights[key]
            texts = (" ".join(pair), auxiliary, _number(weight))
            for column, value in enumerate((*texts, _reference_text(reference, key))):
                item = QTableWidgetItem(value)
                if column >= _WEIGHT and key in far:
                    ground = self.weights.palette().base().color()
                    item.setForeground(readable(ATYPICAL_COLOUR, ground))
                    item.setToolTip(far[key])
                if column == _REFERENCE and reference and key in reference.spread:
                    mean, spread = reference.weights[key], reference.spread[key]
                    item.setData(RANGE_ROLE, (weight, mean - FAR * spread, mean + FAR * spread))
                self.weights.setItem(k, column, item)
        self.weights.setMinimumHeight(150)


def _atypical_text(far: Mapping[tuple[Pair, str], str]) -> str:
    if not far:
        return ""
    more = f"\nand {len(far) - _MOST_LISTED} more, marked below." if len(far) > _MOST_LISTED else ""
    return "Atypical: " + "\n".join(list(far.values())[:_MOST_LISTED]) + more


def _number(weight: float) -> str:
    return "-" if weight != weight else f"{weight:.2f}"


def _reference_text(reference: ComparisonWeights | None, key: tuple[Pair, str]) -> str:
    if reference is None or key not in reference.weights:
        return ""
    spread = f" ± {reference.spread[key]:.2f}" if key in reference.spread else ""
    return f"{_number(reference.weights[key])}{spread}"
