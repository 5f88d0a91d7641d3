"""The dock widget *Lesions*: lesions with size and confidence, the uncertain ones first."""

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QHeaderView, QSpinBox, QTableWidgetItem

from napari_ciml.inference.uncertainty_maps import UncertaintyKind
from napari_ciml.widgets.controllers.explanation import QUERYING
from napari_ciml.widgets.controllers.label_maps import MEASURING
from napari_ciml.widgets.controllers.segmentation import SEGMENTING
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
from napari_ciml.widgets.panels.lesion_table import LesionTable

if TYPE_CHECKING:
    from napari.viewer import Viewer

_ALL = "all regions"
_SAMPLES = 8
_KINDS: tuple[UncertaintyKind, ...] = ("disagreement", "uncertainty", "spread")
_EMPTY = "Open a case and segment it; its lesions are listed here, the uncertain ones first."
_KIND_TIP = (
    "Disagreement: standard deviation over the segmentors of a region, at most 0.5. Uncertainty: "
    "entropy of the probability, at most 1 bit. Spread: standard deviation over Monte Carlo "
    "samples of the complementary information, at most 0.5. One scale for all regions."
)


class LesionsWidget(LabelMapDock):
    """List the lesions and regions of a label map.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.questions = self.session.explanation
        self.map_choice = QComboBox()
        self.map_choice.setToolTip("The label map whose lesions are listed.")
        self.jobs = JobBar(self, MEASURING, runner=self.session.jobs.measure)
        self.runs = JobBar(self, SEGMENTING, QUERYING)
        self.regions = table("Region", "mL", "n", "Ø (mm)", "Uncertainty", "Dice")
        self.regions.setToolTip(
            "mL: volume; ± is the standard deviation over Monte Carlo samples. n: lesion count. "
            "Ø: longest axial diameter x longest perpendicular diameter of the largest lesion. "
            "Uncertainty: mean entropy of the probability. Dice: agreement between the segmentors."
        )
        self.kind, self.region = QComboBox(), QComboBox()
        self.kind.addItems(_KINDS)
        self.kind.setToolTip(_KIND_TIP)
        self.region.setToolTip("Region whose uncertainty is shown.")
        self.show_uncertainty = button("Show", "Show it as a layer over the images.")
        self.hide_uncertainty = button("Hide", "Hide the uncertainty layer.")
        self.samples = QSpinBox()
        self.samples.setRange(0, 100)
        self.samples.setSpecialValueText("no samples")
        self.samples.setSuffix(" samples")
        self.samples.setToolTip(
            "Number of Monte Carlo samples of the complementary information, from the next run on."
        )
        self.sample = button(
            "Sample", "Segment again with this number of samples; the label map stays the same."
        )
        self.region_filter = QComboBox()
        self.region_filter.setToolTip("Region whose lesions are listed.")
        self.next = button(
            "Reviewed, next",
            "Mark this lesion as reviewed and go to the next one (Space: mark only).",
        )
        self.explain = button(
            "Explain",
            "Explain this lesion: weights and maps of each auxiliary (or double-click it).",
        )
        self.answer = WrappingLabel(colour=QUIET_COLOUR)
        self.lesions = LesionTable()
        self.state = WrappingLabel(_EMPTY, QUIET_COLOUR)
        self._lay_out()
        self._connect()
        self._list_maps()
        self._show()
        self.active_map.watch()

    def _lay_out(self) -> None:
        header = self.regions.horizontalHeader()
        for column in (1, 2, 3, 4):
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
        self.show_uncertainty.clicked.connect(self._show_uncertainty_layer)
        self.hide_uncertainty.clicked.connect(self.session.layers.hide_results)
        self.sample.clicked.connect(self._sample)
        self.samples.valueChanged.connect(
            partial(self.model.set_option, "kappa_samples", merge=True)
        )
        self.model.request_changed.connect(self._show_samples)
        self.region_filter.activated.connect(self._show_lesions)
        self.next.clicked.connect(self._review_and_next)
        self.lesions.currentCellChanged.connect(self._go_to)
        self.lesions.cellDoubleClicked.connect(self._explain_lesion)
        self.explain.clicked.connect(self._explain_lesion)
        self.questions.changed.connect(self._show_answer)
        self.lesions.marked.connect(self.findings.mark)
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

    def _show_uncertainty_layer(self) -> None:
        kind = _KINDS[self.kind.currentIndex()]
        self.run_intent(self.active_map.show_uncertainty, self.region.currentText(), kind)

    def _show_samples(self) -> None:
        self.samples.setValue(self.model.request.options.kappa_samples)

    def _sample(self) -> None:
        if not self.model.request.options.kappa_samples:
            self.samples.setValue(_SAMPLES)
        self.run_intent(self.session.segmentation.segment)

    def _show(self) -> None:
        regions = self.findings.inventory.regions
        names = [summary.region for summary in regions]
        for box, items in ((self.region, names), (self.region_filter, [_ALL, *names])):
            current = box.currentText()
            box.clear()
            box.addItems(items)
            box.setCurrentIndex(max(box.findText(current), 0))
        self.regions.setRowCount(len(regions))
        for k, summary in enumerate(regions):
            for column, text in enumerate(texts.summary_row(summary)):
                item = QTableWidgetItem(text)
                item.setToolTip(texts.summary_tooltip(summary))
                self.regions.setItem(k, column, item)
        self.regions.setFixedHeight(self.regions.rowHeight(0) * len(regions) + 32)
        self.regions.setVisible(bool(regions))
        self._show_lesions()

    def _show_lesions(self, *_: object) -> None:
        region, queue = self.region_filter.currentText(), self.findings.review_queue()
        self.lesions.show_lesions([le for le in queue if region in (_ALL, le.region)])
        self.active_map.hide_calipers()
        self._show_marks()

    def _show_marks(self) -> None:
        count = self.lesions.show_marks(self.findings.seen)
        lesions = self.lesions.lesions
        self.next.setEnabled(bool(lesions))
        self.explain.setEnabled(bool(lesions) and self.model.segmentation is not None)
        if self.findings.inventory.lesions:
            unlisted = sum(summary.unlisted for summary in self.findings.inventory.regions)
            more = f" {unlisted} smaller ones are not listed." if unlisted else ""
            self.state.set_text(f"{count} of {len(lesions)} reviewed.{more}")
        else:
            run = self.model.segmentation
            self.state.set_text(_EMPTY if run is None else "No lesions found.")

    def _go_to(self, row: int, *_: object) -> None:
        lesion = self.lesions.lesion_at(row)
        if lesion is not None:
            self.active_map.go_to(lesion)
        else:
            self.active_map.hide_calipers()

    def _explain_lesion(self, *_: object) -> None:
        lesion = self.lesions.selected()
        if lesion is not None:
            self.run_intent(self.questions.ask_about, lesion)

    def _show_answer(self) -> None:
        question = self.questions.chosen
        text = f"{question.name}: {question.in_words}. Maps are in Explain." if question else ""
        self.answer.set_text(text)

    def _review_and_next(self) -> None:
        row, lesion = self.lesions.currentRow(), self.lesions.selected()
        if lesion is not None:
            self.findings.mark(lesion, True)
        pending = [k for k, le in enumerate(self.lesions.lesions) if not self.findings.seen(le)]
        if pending:
            self.lesions.setCurrentCell(next((k for k in pending if k > row), pending[0]), 1)
