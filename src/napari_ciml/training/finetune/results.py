"""What a fine-tune reports, obeys and ends with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ciml.training.finetune.evaluator import Version

DiceByRegion = dict[str, float]
"""Mean Dice by region; a region that is in no case has none."""


@dataclass(frozen=True)
class StepReport:
    """What a fine-tune reports after each step.

    Parameters
    ----------
    step : int
        Of the optimiser, from 1.
    share : float
        Of its time, or steps, that has gone by.
    left : float
        Seconds that are left.
    loss, dice, cross_entropy, kl : float
        Of this step, as `LossParts`.
    looked : Version or None
        What the network was worth after this step, where it was measured.
    """

    step: int
    share: float
    left: float
    loss: float
    dice: float
    cross_entropy: float
    kl: float
    looked: "Version | None" = None


def _nothing(_: StepReport) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Controls:
    """What the user may do while it runs, from any thread; cancelling is the monitor's.

    Parameters
    ----------
    finish : threading.Event
        End now, with the best version so far.
    pause : threading.Event
        Do nothing while it is set; the time stands still.
    progressed : callable
        Called after each step.
    """

    finish: Event = field(default_factory=Event)
    pause: Event = field(default_factory=Event)
    progressed: Callable[[StepReport], None] = _nothing


@dataclass(frozen=True)
class FineTuneResult:
    """What came of it.

    Parameters
    ----------
    path : pathlib.Path
        The new version; the old one is where it was.
    steps : int
        Taken in all.
    corrected_before, corrected_after, replay_before, replay_after : dict of str to float
        Mean Dice by region, without and with what was learnt.
    harmless : bool
        As of a `Version`, on what was held out of the replay cases.
    taken : float
        How far it lies on the way from the old weights (0) to the learnt ones (1).
    chosen_on : str
        What the version was chosen on, in words.
    held_out : bool
        Whether that taught nothing; ``corrected_before`` and ``corrected_after`` are of it alone.
    kept_on : str
        What of the replay cases ``replay_before`` and ``replay_after`` are of, in words.
    notices : tuple of str
        What the user must know.
    """

    path: Path
    steps: int
    corrected_before: DiceByRegion
    corrected_after: DiceByRegion
    replay_before: DiceByRegion
    replay_after: DiceByRegion
    retains_replay: bool
    interpolation: float
    chosen_on: str
    held_out: bool
    kept_on: str
    notices: tuple[str, ...] = ()
