"""The list of questions: what a shift-click asks, what was asked, what it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QListWidget, QVBoxLayout, QWidget

from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.typical_weights import comparable_statistics
from napari_ciml.network.checkpoint_info import WeightStatistics
from napari_ciml.session.questions import AnsweredQuery
from napari_ciml.widgets.controllers.explanation import WHOLE
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, label, row
from napari_ciml.widgets.panels.dock import Dock

_HELP = (
    "Shift-click asks why: for the lesion under the mouse (the connected part of a region), or for "
    "that voxel."
)
_INNERMOST, _NOTHING, _MEASURED = "innermost", "nothing", "cases measured"


@dataclass(frozen=True)
class ComparisonWeights:
    """Weights that others are compared with: of another answer, or over many cases."""

    name: str
    weights: Mapping[tuple[Pair, str], float]
    spread: Mapping[tuple[Pair, str], float] = field(default_factory=dict)
    answer: AnsweredQuery | None = None


class QuestionPanel(QWidget):
    """Shows the questions of a session.

    Parameters
    ----------
    dock : Dock
        Says why a question was refused.

    Signals
    -------
    beside_changed()
        Something else is compared with.
    """

    reference_changed = Signal()

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock, self.model, self.questions = dock, dock.model, dock.session.explanation
        self.scope = QComboBox()
        self.scope.addItems(["lesion", "voxel"])
        self.scope.setToolTip("What a shift-click asks about.")
        self.region = QComboBox()
        self.region.setToolTip("Which region it asks about; the innermost at that place, or one.")
        self.history = QListWidget()
        self.history.setToolTip("Questions that were asked; choose one to see its answer again.")
        self.history.setFixedHeight(46)
        self.reference = QComboBox()
        self.reference.setToolTip("Weights to compare with: the thin bars and the last column.")
        self._compared = ""
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(WrappingLabel(_HELP, QUIET_COLOUR))
        column.addLayout(row(label("About"), self.scope, label("of"), self.region))
        column.addWidget(self.history)
        column.addLayout(row(label("Compare with"), self.reference))
        self.scope.currentTextChanged.connect(self._set_what)
        self.region.currentTextChanged.connect(self._set_region)
        self.history.currentRowChanged.connect(self._choose)
        self.reference.activated.connect(self._compare)
        self.questions.changed.connect(self.show_questions)
        self.questions.refused.connect(dock.show_error)
        self.model.segmentation_changed.connect(self._show_regions)
        self._show_regions()
        self.show_questions()

    def reference_weights(self) -> ComparisonWeights | None:
        """Return what the weights are compared with."""
        name = self.reference.currentText()
        found = self.questions.shown
        if name == _MEASURED and found is not None:
            usual = comparable_statistics(found.weights, self.weight_statistics())
            means = {key: weight.mean for key, weight in usual.items()}
            return ComparisonWeights(name, means, {key: weight.sd for key, weight in usual.items()})
        named = {self.questions.title(one): one for one in self.questions.answered}
        answer = self.questions.whole if name == WHOLE else named.get(name)
        return (
            None
            if answer is None
            else ComparisonWeights(name, answer.explanation.weights, answer=answer)
        )

    def reference_answer(self) -> AnsweredQuery | None:
        """Return the answer that is compared with, if it is one and not the one that is shown."""
        beside, shown = self.reference_weights(), self.questions.answer
        if beside is None or beside.answer is None or shown is None:
            return None
        return None if beside.answer.same_as(shown) else beside.answer

    def weight_statistics(self) -> tuple[WeightStatistics, ...]:
        """Return what is usual by the checkpoint that made the segmentation, if it says so."""
        current = self.model.runs.current
        return current.info.weight_statistics if current is not None else ()

    def show_questions(self) -> None:
        """Show what was asked and what can be compared with."""
        asked, chosen = self.questions.answered, self.questions.chosen
        names = [self.questions.title(question) for question in asked]
        with QSignalBlocker(self.history):
            self.history.clear()
            self.history.addItems([WHOLE.capitalize(), *names])
            self.history.setCurrentRow(1 + asked.index(chosen) if chosen else 0)
        self.setVisible(self.model.segmentation is not None)
        measured = [_MEASURED] if self.weight_statistics() else []
        others = [_NOTHING, *measured, WHOLE, *names]
        usual = _MEASURED if measured else _NOTHING
        with QSignalBlocker(self.reference):
            self.reference.clear()
            self.reference.addItems(others)
            self.reference.setCurrentText(self._compared if self._compared in others else usual)

    def _show_regions(self) -> None:
        made = self.model.segmentation
        names = made.plan.decomposition.region_names if made else ()
        kept = self.region.currentText()
        self.region.clear()
        self.region.addItems([_INNERMOST, *names])
        self.region.setCurrentText(kept if kept in names else _INNERMOST)
        self.setVisible(made is not None)

    def _compare(self) -> None:
        self._compared = self.reference.currentText()
        self.reference_changed.emit()

    def _set_what(self, text: str) -> None:
        self.questions.one_voxel = text == "voxel"

    def _set_region(self, text: str) -> None:
        self.questions.region = None if text in ("", _INNERMOST) else text

    def _choose(self, k: int) -> None:
        self.dock.show_error("")
        if 0 <= k <= len(self.questions.answered):
            self.questions.choose(self.questions.answered[k - 1] if k else None)
