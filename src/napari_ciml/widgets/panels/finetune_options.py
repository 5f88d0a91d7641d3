"""Form with the options of a fine-tune."""

from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_ciml.training.settings import FineTuneSettings
from napari_ciml.widgets.panels.form import Form


@dataclass(frozen=True)
class BasicOptions:
    """What is trained, and for how long."""

    trainable: Annotated[
        Literal["all", "decoders", "new"],
        {
            "label": "Trainable",
            "tooltip": "Weights that are trained: all, the decoders only (safer), or only the new "
            "ones that a changed decomposition needs.",
        },
    ]
    duration: Annotated[
        float,
        {
            "label": "Duration",
            "min": 0.05,
            "max": 1e6,
            "step": 0.5,
            "tooltip": "Duration in minutes or optimiser steps.",
        },
    ]
    unit: Annotated[
        Literal["minutes", "steps"],
        {"label": "Unit", "tooltip": "Unit of the duration."},
    ]


@dataclass(frozen=True)
class AdvancedOptions:
    """Options of `FineTuneSettings` that rarely need a change, under the same names."""

    learning_rate: Annotated[
        float,
        {
            "label": "Learning rate",
            "min": 1e-5,
            "max": 1.0,
            "step": 1e-5,
            "tooltip": "Initial learning rate of Adam; it decays as in eq. 13.",
        },
    ]
    beta: Annotated[
        float,
        {
            "label": "Beta",
            "min": 0.0,
            "max": 100.0,
            "step": 0.05,
            "tooltip": "Weight of the KL divergence in the loss (eq. 8).",
        },
    ]
    interpolation: Annotated[
        float,
        {
            "label": "Max. weight update",
            "min": 0.05,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Largest interpolation from the old weights (0) to the trained ones (1); "
            "beyond 0.5 only if the replay cases lose nothing.",
        },
    ]
    held_out: Annotated[
        float,
        {
            "label": "Hold-out",
            "min": 0.0,
            "max": 0.9,
            "step": 0.05,
            "tooltip": "Fraction of the corrected cases held out to select the version: whole "
            "cases, or a slab of each.",
        },
    ]
    replay_fraction: Annotated[
        float,
        {
            "label": "Replay fraction",
            "min": 0.0,
            "max": 1.0,
            "step": 0.05,
            "tooltip": "Fraction of the training patches taken from replay cases.",
        },
    ]
    replay_held_out: Annotated[
        float,
        {
            "label": "Replay hold-out",
            "min": 0.0,
            "max": 0.9,
            "step": 0.05,
            "tooltip": "Fraction of the replay cases held out to measure forgetting.",
        },
    ]
    tolerance: Annotated[
        float,
        {
            "label": "Tolerance",
            "min": 0.0,
            "max": 1.0,
            "step": 0.005,
            "tooltip": "Mean Dice that may be lost on replay cases; twice that in one region.",
        },
    ]


class FineTuneOptions(QWidget):
    """Form of the basic options, with the advanced ones in a collapsible part."""

    def __init__(self) -> None:
        super().__init__()
        default = FineTuneSettings()
        self.basic = Form(BasicOptions(default.trainable, default.minutes, "minutes"))
        names = [field.name for field in fields(AdvancedOptions)]
        self.advanced = Form(AdvancedOptions(**{name: getattr(default, name) for name in names}))
        self.more = QCollapsible("Advanced")
        self.more.toggleButton().setToolTip("Options that rarely need a change.")
        self.more.addWidget(self.advanced.native)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.basic.native)
        column.addWidget(self.more)

    def settings(self) -> FineTuneSettings:
        """Return the options as settings of a fine-tune."""
        basic = self.basic.values()
        duration: dict[str, Any] = (
            {"minutes": basic.duration}
            if basic.unit == "minutes"
            else {"steps": max(1, round(basic.duration))}
        )
        return FineTuneSettings(
            trainable=basic.trainable, **asdict(self.advanced.values()), **duration
        )
