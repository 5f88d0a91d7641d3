"""How a fine-tune learns, as the user sets it."""

from typing import Any

from qtpy.QtWidgets import QAbstractSpinBox, QComboBox, QDoubleSpinBox, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_ciml.training.settings import FineTuneSettings
from napari_ciml.widgets.panels.common import label, row

_ADAPT = {"everything": "all", "the decoders": "decoders", "what is new": "new"}
_MINUTES, _STEPS = "minutes", "steps"


class LearningOptions(QWidget):
    """What to adapt and for how long; and, folded away, what rarely needs a change."""

    def __init__(self) -> None:
        super().__init__()
        usual = FineTuneSettings()
        self.adapt, self.unit = QComboBox(), QComboBox()
        self.adapt.addItems(list(_ADAPT))
        self.adapt.setToolTip("What may change: less is safer, more learns more.")
        self.amount = _number(0.05, 1e6, usual.minutes, 2, "How long to learn.")
        self.unit.addItems([_MINUTES, _STEPS])
        self.unit.setToolTip("Whether to learn for a time or for a number of steps.")
        self.rate = _number(1e-6, 1.0, usual.learning_rate, 6, "Of Adam, at the start (eq. 13).")
        self.rate.setStepType(QAbstractSpinBox.StepType.AdaptiveDecimalStepType)
        self.beta = _number(0.0, 100.0, usual.beta, 3, "Trade-off of eq. 8.")
        self.replay_share = _number(
            0.0, 1.0, usual.replay_share, 2, "Share of the patches that are of cases not to forget."
        )
        self.held_out = _number(
            0.0,
            0.9,
            usual.held_out,
            2,
            "Share that judges versions and teaches nothing: of the cases, or a slab of each.",
        )
        self.replay_held_out = _number(
            0.0,
            0.9,
            usual.replay_held_out,
            2,
            "Share of the cases not to forget that judges versions and teaches nothing.",
        )
        self.take = _number(
            0.05,
            1.0,
            usual.interpolation,
            2,
            "How far to go at most from the old weights to the learnt ones; beyond half-way only "
            "where cases not to forget lose nothing.",
        )
        self.tolerance = _number(
            0.0,
            1.0,
            usual.tolerance,
            3,
            "Mean Dice that may be lost on cases not to forget; twice that by a single region.",
        )
        self.more = QCollapsible("More")
        self.more.toggleButton().setToolTip("Settings that rarely need a change.")
        inside = QWidget()
        rows = QVBoxLayout(inside)
        rows.setContentsMargins(0, 0, 0, 0)
        for name, number in {
            "Learning rate": self.rate,
            "beta": self.beta,
            "Take at most": self.take,
            "Held out": self.held_out,
            "Replay": self.replay_share,
            "Replay held out": self.replay_held_out,
            "Tolerance": self.tolerance,
        }.items():
            rows.addLayout(row(label(name), number))
        self.more.addWidget(inside)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row(label("Adapt"), self.adapt))
        column.addLayout(row(label("for"), self.amount, self.unit))
        column.addWidget(self.more)

    def settings(self) -> FineTuneSettings:
        """Return what is set."""
        amount = self.amount.value()
        how_long: dict[str, Any] = (
            {"minutes": amount}
            if self.unit.currentText() == _MINUTES
            else {"steps": max(1, round(amount))}
        )
        return FineTuneSettings(
            trainable=_ADAPT[self.adapt.currentText()],
            learning_rate=self.rate.value(),
            beta=self.beta.value(),
            replay_share=self.replay_share.value(),
            held_out=self.held_out.value(),
            replay_held_out=self.replay_held_out.value(),
            interpolation=self.take.value(),
            tolerance=self.tolerance.value(),
            **how_long,
        )


def _number(least: float, most: float, value: float, decimals: int, tip: str) -> QDoubleSpinBox:
    made = QDoubleSpinBox()
    made.setDecimals(decimals)
    made.setRange(least, most)
    made.setSingleStep(10**-decimals if decimals > 2 else 0.05)
    made.setValue(value)
    made.setToolTip(tip)
    return made
