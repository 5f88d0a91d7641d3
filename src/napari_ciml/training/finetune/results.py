"""Versions, step reports, controls and result of a fine-tune."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

DiceByRegion = dict[str, float]
"""Mean Dice by region; regions that no case contains are left out."""


@dataclass(frozen=True)
class Version:
    """Weights of a network and their scores.

    Parameters
    ----------
    weights : dict of str to torch.Tensor
        State dict on the CPU.
    corrected, replay : dict of str to float
        Mean Dice by region over the validation part of the corrected and of the replay cases.
    retains_replay : bool
        Whether, on the replay cases, the mean Dice over regions drops by no more than the tolerance
        and the Dice of no region by more than twice the tolerance (few cases measure a single
        region less precisely).
    interpolation : float
        Position between the old weights (0) and the fine-tuned ones (1).
    """

    weights: "dict[str, Tensor]"
    corrected: DiceByRegion
    replay: DiceByRegion
    retains_replay: bool
    interpolation: float = 0.0

    @property
    def score(self) -> float:
        """Mean Dice over the regions of the corrected cases."""
        return float(np.mean(list(self.corrected.values())))


@dataclass(frozen=True)
class StepReport:
    """Report of one optimiser step.

    Parameters
    ----------
    step : int
        Number of the step, from 1.
    fraction_done : float
        Used fraction of the budget.
    seconds_left : float
        Estimated remaining time.
    loss, dice, cross_entropy, kl : float
        Loss of the step and its terms, as in `LossParts`.
    version : Version or None
        Version evaluated after this step, if one was.
    """

    step: int
    fraction_done: float
    seconds_left: float
    loss: float
    dice: float
    cross_entropy: float
    kl: float
    version: Version | None = None


def _discard(_: StepReport) -> None:
    """Ignore a report."""


@dataclass(frozen=True)
class Controls:
    """Controls of a running fine-tune, usable from any thread; the monitor cancels it.

    Parameters
    ----------
    finish : threading.Event
        Set it to stop training and take the best version so far.
    pause : threading.Event
        Training and its clock stop while it is set.
    report : callable
        Called with a `StepReport` after each step.
    """

    finish: Event = field(default_factory=Event)
    pause: Event = field(default_factory=Event)
    report: Callable[[StepReport], None] = _discard


@dataclass(frozen=True)
class FineTuneResult:
    """Result of a fine-tune.

    Parameters
    ----------
    path : pathlib.Path
        Checkpoint of the new version; the old one is untouched.
    steps : int
        Optimiser steps in total.
    corrected_before, corrected_after, replay_before, replay_after : dict of str to float
        Mean Dice by region of the old and of the new version.
    retains_replay : bool
        As in `Version`, for the new version.
    interpolation : float
        Position of the new version between the old weights (0) and the fine-tuned ones (1).
    validation_set : str
        Description of the cases, or parts of cases, that ``corrected_*`` is measured on.
    held_out : bool
        Whether these were held out of the training.
    replay_set : str
        Description of the cases that ``replay_*`` is measured on.
    notices : tuple of str
        Notices for the user.
    """

    path: Path
    steps: int
    corrected_before: DiceByRegion
    corrected_after: DiceByRegion
    replay_before: DiceByRegion
    replay_after: DiceByRegion
    retains_replay: bool
    interpolation: float
    validation_set: str
    held_out: bool
    replay_set: str
    notices: tuple[str, ...] = ()
