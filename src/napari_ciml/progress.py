"""How long work reports what it does and hears that it should stop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from napari_ciml.errors import CancelledError


@dataclass(frozen=True)
class Progress:
    """Where a piece of work stands.

    Parameters
    ----------
    stage : str
        What is being done, in the user's words ("Reading FLAIR").
    done, total : int
        Steps finished and steps in this stage; ``total == 0`` means the number is not known.
    """

    stage: str
    done: int = 0
    total: int = 0


def _discard(_: object) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class ProgressMonitor:
    """Passed down into everything that takes long; safe to use from any thread.

    Parameters
    ----------
    report : callable
        Called with a `Progress` at every step.
    tell : callable
        Called with a sentence the user must hear (a fall-back, a repair).
    stop : threading.Event
        Set by whoever wants the work to end.
    """

    report: Callable[[Progress], None] = _discard
    notify: Callable[[str], None] = _discard
    stop: Event = field(default_factory=Event)

    def step(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Report a step, and end the work here if that was asked for.

        Raises
        ------
        CancelledError
            If ``stop`` is set.
        """
        self.raise_if_cancelled()
        self.report(Progress(stage, done, total))

    def raise_if_cancelled(self) -> None:
        """Raise `CancelledError` if ``stop`` is set."""
        if self.stop.is_set():
            raise CancelledError
