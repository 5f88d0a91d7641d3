"""Explanations of lesions and voxels: what a shift-click explains, history, reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QListWidget, QVBoxLayout, QWidget

from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.typical_weights import comparable_statistics
from napari_ciml.network.checkpoint_info import WeightStatistics
from napari_ciml.session.questions import AnsweredQuery
from napari_ciml.widgets.controllers.explanation import WHOLE_CASE
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, label, row
from napari_ciml.widgets.panels.dock import Dock

_HELP = (
    "Shift + click explains the lesion under the mouse (connected component of a region), or the "
    "voxel."
)
_INNERMOST, _NONE, _TYPICAL = "innermost", "none", "typical weights"


@dataclass(frozen=True)
class ComparisonWeights:
    """Reference weights: of another explanation, or their mean and spread over many cases."""

    name: str
    weights: Mapping[tuple[Pair, str], float]
    spread: Mapping[tuple[Pair, str], float] = field(default_factory=dict)
    answer: AnsweredQuery | None = None


class QuestionPanel(QWidget):
    """Show the explanations of a session and choose a reference.

    Parameters
    ----------
    dock : Dock
        Dock widget that holds the panel and shows errors.

    Signals
    -------
    beside_changed()
        Another reference was chosen.
    """

    reference_changed = Signal()

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock, self.model, self.questions = dock, dock.model, dock.session.explanation
        self.scope = QComboBox()
        self.scope.addItems(["lesion", "voxel"])
        self.scope.setToolTip("What Shift + click explains.")
        self.region = QComboBox()
        self.region.setToolTip("Region to explain: the innermost at that position, or a given one.")
        self.history = QListWidget()
        self.history.setToolTip("Explanations of this case; select one to show it again.")
        self.history.setFixedHeight(46)
        self.reference = QComboBox()
        self.reference.setToolTip(
            "Reference weights: thin bars in the chart and last column of the table."
        )
        self._compared = ""
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(WrappingLabel(_HELP, QUIET_COLOUR))
        column.addLayout(row(label("Explain"), self.scope, label("of"), self.region))
        column.addWidget(self.history)
        column.addLayout(row(label("Reference"), self.reference))
        self.scope.currentTextChanged.connect(self._set_scope)
        self.region.currentTextChanged.connect(self._set_region)
        self.history.currentRowChanged.connect(self._choose)
        self.reference.activated.connect(self._compare)
        self.questions.changed.connect(self.show_questions)
        self.questions.refused.connect(dock.show_error)
        self.model.segmentation_changed.connect(self._show_regions)
        self._show_regions()
        self.show_questions()

    def reference_weights(self) -> ComparisonWeights | None:
        """Return the chosen reference weights, or None."""
        name = self.reference.currentText()
        explanation = self.questions.shown
        if name == _TYPICAL and explanation is not None:
            typical = comparable_statistics(explanation.weights, self.weight_statistics())
            means = {key: weight.mean for key, weight in typical.items()}
            return ComparisonWeights(
                name, means, {key: weight.sd for key, weight in typical.items()}
            )
        by_title = {self.questions.title(answer): answer for answer in self.questions.answered}
        answer = self.questions.whole_case if name == WHOLE_CASE else by_title.get(name)
        return (
            None
            if answer is None
            else ComparisonWeights(name, answer.explanation.weights, answer=answer)
        )

    def reference_answer(self) -> AnsweredQuery | None:
        """Return the reference explanation, if there is one and it is not the displayed one."""
        reference, displayed = self.reference_weights(), self.questions.answer
        if reference is None or reference.answer is None or displayed is None:
            return None
        return None if reference.answer.same_as(displayed) else reference.answer

    def weight_statistics(self) -> tuple[WeightStatistics, ...]:
        """Return the weight statistics of the checkpoint of the current run, if it has any."""
        current = self.model.runs.current
        return current.info.weight_statistics if current is not None else ()

    def show_questions(self) -> None:
        """List the explanations and the possible references."""
        history, selected = self.questions.answered, self.questions.chosen
        names = [self.questions.title(question) for question in history]
        with QSignalBlocker(self.history):
            self.history.clear()
            self.history.addItems([WHOLE_CASE.capitalize(), *names])
            self.history.setCurrentRow(1 + history.index(selected) if selected else 0)
        self.setVisible(self.model.segmentation is not None)
        typical = [_TYPICAL] if self.weight_statistics() else []
        references = [_NONE, *typical, WHOLE_CASE, *names]
        default = _TYPICAL if typical else _NONE
        with QSignalBlocker(self.reference):
            self.reference.clear()
            self.reference.addItems(references)
            self.reference.setCurrentText(
                self._compared if self._compared in references else default
            )

    def _show_regions(self) -> None:
        segmentation = self.model.segmentation
        names = segmentation.plan.decomposition.region_names if segmentation else ()
        current = self.region.currentText()
        self.region.clear()
        self.region.addItems([_INNERMOST, *names])
        self.region.setCurrentText(current if current in names else _INNERMOST)
        self.setVisible(segmentation is not None)

    def _compare(self) -> None:
        self._compared = self.reference.currentText()
        self.reference_changed.emit()

    def _set_scope(self, text: str) -> None:
        self.questions.one_voxel = text == "voxel"

    def _set_region(self, text: str) -> None:
        self.questions.region = None if text in ("", _INNERMOST) else text

    def _choose(self, k: int) -> None:
        self.dock.show_error("")
        if 0 <= k <= len(self.questions.answered):
            self.questions.choose(self.questions.answered[k - 1] if k else None)
