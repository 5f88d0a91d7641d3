"""The dock widget *Lesions*: what was found, how large, how sure, and what needs a look."""

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QHeaderView, QSpinBox, QTableWidget, QTableWidgetItem

from napari_ciml.inference.uncertainty_maps import UncertaintyKind
from napari_ciml.lesions import Lesion
from napari_ciml.widgets.controllers.explanation import TITLE as ASKING
from napari_ciml.widgets.panels import texts
from napari_ciml.widgets.panels.common import (
    QUIET_COLOUR,
    WrappingLabel,
    button,
    label,
    row,
    table,
)
from napari_ciml.widgets.panels.dock import LabelMapDock
from napari_ciml.widgets.panels.job_bar import JobBar
from napari_ciml.widgets.panels.readable_colours import readable

if TYPE_CHECKING:
    from napari.viewer import Viewer

_ALL = "all regions"
_SAMPLES = 8
_DOUBTS: tuple[UncertaintyKind, ...] = ("disagreement", "uncertainty", "spread")
_EMPTY = "Open a case and segment it; its lesions are listed here, the doubtful ones first."
_BOXES = (
    "QTableView::indicator { width: 12px; height: 12px; border: 2px solid #7f868e }"
    "QTableView::indicator:checked { background: #2f6db5 }"
)
"""napari's own cannot be seen on the ground of a table."""

_ABOUT_DOUBT = (
    "Disagreement: standard deviation over the segmentors of a region, at most 0.5. Uncertainty: "
    "entropy of its probability, at most 1 bit. Spread: standard deviation over samples of the "
    "complementary information, at most 0.5. Each on one scale for every region."
)


class LesionsWidget(LabelMapDock):
    """List the lesions of a label map.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Where they are shown.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.questions = self.session.explanation
        self.map_choice = QComboBox()
        self.map_choice.setToolTip("The label map whose lesions are listed.")
        self.jobs = JobBar(self, "Measuring", runner=self.active_map.runner)
        self.runs = JobBar(self, "Segmenting", ASKING)
        self.regions = table("Region", "mL", "n", "mm x mm", "Unsure", "Agree")
        self.regions.setToolTip(
            "mL: with ±, the standard deviation of the volume over the samples. n: lesions. "
            "mm x mm: longest diameter in an axial plane, and the longest across it. "
            "Unsure: mean entropy of the probability. Agree: Dice between its segmentors."
        )
        self.kind, self.region = QComboBox(), QComboBox()
        self.kind.addItems(_DOUBTS)
        self.kind.setToolTip(_ABOUT_DOUBT)
        self.region.setToolTip("About which region.")
        self.show_uncertainty = button("Show", "Show it over the images, as a layer.")
        self.hide_uncertainty = button("Hide", "Take it away.")
        self.samples = QSpinBox()
        self.samples.setRange(0, 100)
        self.samples.setSpecialValueText("no samples")
        self.samples.setSuffix(" samples")
        self.samples.setToolTip("Of the complementary information, at this and every next run.")
        self.sample = button("Sample", "Segment again with so many samples; the answer stays.")
        self.region_filter = QComboBox()
        self.region_filter.setToolTip("Which lesions to list.")
        self.next = button("Seen, next", "Mark this lesion as seen and go to the next one.")
        self.explain = button(
            "Why?", "Ask what each auxiliary added to this lesion; so does a double click."
        )
        self.answer = WrappingLabel(colour=QUIET_COLOUR)
        self.lesions = table("Seen", "Lesion", "How sure, and why")
        self.lesions.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.lesions.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.lesions.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.lesions.setStyleSheet(_BOXES)
        self.lesions.setToolTip(
            "Choose a lesion to go there, double-click to ask why; Space marks it as seen."
        )
        self.state = WrappingLabel(_EMPTY, QUIET_COLOUR)
        self._rows: list[Lesion] = []
        self._lay_out()
        self._connect()
        self._list_maps()
        self._show()
        self.active_map.watch()

    def _lay_out(self) -> None:
        header = self.regions.horizontalHeader()
        for column in (1, 2, 3):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header = self.lesions.horizontalHeader()
        for column in (0, 1):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.column.addLayout(row(label("Label map"), self.map_choice))
        self.column.addWidget(self.regions)
        self.column.addLayout(row(self.kind, label("of"), self.region))
        self.column.addLayout(row(self.show_uncertainty, self.hide_uncertainty))
        self.column.addLayout(row(self.samples, self.sample))
        self.column.addLayout(row(self.region_filter, self.next, self.explain))
        self.column.addWidget(self.lesions, stretch=1)
        self.column.addWidget(self.answer)
        self.column.addWidget(self.state)
        self.column.addWidget(self.jobs)
        self.column.addWidget(self.runs)
        self.add_footer()

    def _connect(self) -> None:
        self.map_choice.activated.connect(self._choose_map)
        self.show_uncertainty.clicked.connect(self._show_doubt)
        self.hide_uncertainty.clicked.connect(self.session.layers.hide_results)
        self.sample.clicked.connect(self._sample)
        self.samples.valueChanged.connect(
            partial(self.model.set_option, "kappa_samples", merge=True)
        )
        self.model.request_changed.connect(self._show_samples)
        self.region_filter.activated.connect(self._show_lesions)
        self.next.clicked.connect(self._seen_and_next)
        self.lesions.currentCellChanged.connect(self._go_to)
        self.lesions.cellDoubleClicked.connect(lambda *_: self._ask())
        self.explain.clicked.connect(self._ask)
        self.questions.changed.connect(self._show_answer)
        self.lesions.itemChanged.connect(self._mark)
        self.active_map.changed.connect(self._list_maps)
        self.findings.inventory_changed.connect(self._show)
        self.findings.marks_changed.connect(self._show_marks)

    def _list_maps(self) -> None:
        self.map_choice.clear()
        current = self.active_map.current()
        for k, layer in enumerate(self.active_map.label_maps()):
            self.map_choice.addItem(layer.name)
            if layer is current:
                self.map_choice.setCurrentIndex(k)

    def _choose_map(self, k: int) -> None:
        self.active_map.choose(self.active_map.label_maps()[k])

    def _show_doubt(self) -> None:
        kind = _DOUBTS[self.kind.currentIndex()]
        self.run_intent(self.active_map.show_doubt, self.region.currentText(), kind)

    def _show_samples(self) -> None:
        self.samples.setValue(self.model.request.options.kappa_samples)

    def _sample(self) -> None:
        if not self.model.request.options.kappa_samples:
            self.samples.setValue(_SAMPLES)
        self.run_intent(self.session.segmentation.segment)

    def _show(self) -> None:
        found = self.findings.inventory.regions
        names = [summary.region for summary in found]
        for box, items in ((self.region, names), (self.region_filter, [_ALL, *names])):
            before = box.currentText()
            box.clear()
            box.addItems(items)
            box.setCurrentIndex(max(box.findText(before), 0))
        self.regions.setRowCount(len(found))
        for k, summary in enumerate(found):
            for column, text in enumerate(texts.summary_row(summary)):
                item = QTableWidgetItem(text)
                item.setToolTip(texts.summary_tooltip(summary))
                self.regions.setItem(k, column, item)
        self.regions.setFixedHeight(self.regions.rowHeight(0) * len(found) + 32)
        self.regions.setVisible(bool(found))
        self._show_lesions()

    def _show_lesions(self, *_: object) -> None:
        only = self.region_filter.currentText()
        self._rows = [
            lesion for lesion in self.findings.review_queue() if only in (_ALL, lesion.region)
        ]
        self.lesions.blockSignals(True)
        self.lesions.setCurrentCell(-1, -1)
        self.active_map.hide_calipers()
        self.lesions.setRowCount(len(self._rows))
        for k, lesion in enumerate(self._rows):
            seen = QTableWidgetItem()
            seen.setFlags(
                Qt.ItemFlag.ItemIsUserCheckable
                | Qt.ItemFlag.ItemIsEnabled
                | Qt.ItemFlag.ItemIsSelectable
            )
            self.lesions.setItem(k, 0, seen)
            cells = texts.size_text(lesion), texts.confidence_text(lesion)
            for column, text in enumerate(cells, 1):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.lesions.setItem(k, column, item)
        self.lesions.blockSignals(False)
        self._show_marks()

    def _show_marks(self) -> None:
        """Tick and grey what was seen; the order stays, so that nothing jumps under the mouse."""
        self.lesions.blockSignals(True)
        quiet = readable(QUIET_COLOUR, self.lesions.palette().base().color())
        count = 0
        for k, lesion in enumerate(self._rows):
            seen = self.findings.seen(lesion)
            count += seen
            state = Qt.CheckState.Checked if seen else Qt.CheckState.Unchecked
            self.lesions.item(k, 0).setCheckState(state)
            for column in (1, 2):
                ground = quiet if seen else None
                self.lesions.item(k, column).setData(Qt.ItemDataRole.ForegroundRole, ground)
        self.lesions.blockSignals(False)
        self.next.setEnabled(bool(self._rows))
        self.explain.setEnabled(bool(self._rows) and self.model.segmentation is not None)
        if self.findings.inventory.lesions:
            unlisted = sum(summary.unlisted for summary in self.findings.inventory.regions)
            specks = f" {unlisted} smaller ones are not listed." if unlisted else ""
            self.state.set_text(f"{count} of {len(self._rows)} seen.{specks}")
        else:
            run = self.model.segmentation
            self.state.set_text(_EMPTY if run is None else "No lesion was found.")

    def _go_to(self, k: int, *_: object) -> None:
        if 0 <= k < len(self._rows):
            self.active_map.go_to(self._rows[k])
        else:
            self.active_map.hide_calipers()

    def _ask(self) -> None:
        k = self.lesions.currentRow()
        if 0 <= k < len(self._rows):
            self.run_intent(self.questions.ask_about, self._rows[k])

    def _show_answer(self) -> None:
        question = self.questions.chosen
        said = f"Why {question.name}? {question.in_words}. More in Explain." if question else ""
        self.answer.set_text(said)

    def _mark(self, item: QTableWidgetItem) -> None:
        if item.column() == 0:
            seen = item.checkState() == Qt.CheckState.Checked
            self.findings.mark(self._rows[item.row()], seen)

    def _seen_and_next(self) -> None:
        k = self.lesions.currentRow()
        if k >= 0:
            self.findings.mark(self._rows[k], True)
        left = [j for j, lesion in enumerate(self._rows) if not self.findings.seen(lesion)]
        if left:
            self.lesions.setCurrentCell(next((j for j in left if j > k), left[0]), 1)
