"""Progress reports, notices and cancellation of long tasks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

from napari_ciml.errors import CancelledError


@dataclass(frozen=True)
class Progress:
    """Progress of a task.

    Parameters
    ----------
    stage : str
        Current stage, for the user ("Reading FLAIR").
    done, total : int
        Completed steps and number of steps of the stage; ``total == 0`` if it is unknown.
    """

    stage: str
    done: int = 0
    total: int = 0


def _ignore(_: object) -> None:
    """Do nothing with a report."""


@dataclass(frozen=True)
class ProgressMonitor:
    """Callbacks and cancellation flag of a long task; safe to use from any thread.

    Parameters
    ----------
    report : callable
        Called with a `Progress` at every step.
    notify : callable
        Called with a notice for the user: a fallback, a repair.
    stop : threading.Event
        Set to cancel the task.
    """

    report: Callable[[Progress], None] = _ignore
    notify: Callable[[str], None] = _ignore
    stop: Event = field(default_factory=Event)

    def step(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Report a step, unless the task is cancelled.

        Parameters
        ----------
        stage, done, total
            As in `Progress`.

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
