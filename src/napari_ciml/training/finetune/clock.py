"""Budget of a fine-tune, in seconds or in optimiser steps."""

import time
from collections.abc import Callable
from threading import Event

from napari_ciml.progress import ProgressMonitor

_POLL_S = 0.05


class Clock:
    """Clock of a fine-tune that stops while it is paused.

    Parameters
    ----------
    seconds : float
        Time budget.
    steps : int, optional
        Budget in optimiser steps; if given, it counts instead of the time.
    fraction : float
        Fraction of the budget that was used before an interruption.
    now : callable
        Monotonic time in seconds.
    """

    def __init__(
        self,
        seconds: float,
        steps: int | None = None,
        fraction: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds, self.steps, self.fraction, self.now = seconds, steps, fraction, now
        self.start = now() - (fraction * seconds if steps is None else 0.0)

    def fraction_done(self, step: int) -> float:
        """Return the used fraction of the budget, from 0 to 1, after ``step`` optimiser steps."""
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        return min((self.now() - self.start) / self.seconds, 1.0)

    def seconds_left(self, step: int) -> float:
        """Return the seconds left after ``step`` steps; an estimate for a budget in steps."""
        fraction = self.fraction_done(step)
        if self.steps is None:
            return (1 - fraction) * self.seconds
        elapsed = self.now() - self.start
        return elapsed * (1 - fraction) / max(fraction - self.fraction, 1e-9)

    def wait_while(self, pause: Event, monitor: ProgressMonitor) -> None:
        """Stop the clock and wait until ``pause`` is cleared.

        Raises
        ------
        CancelledError
            If the monitor's ``stop`` is set.
        """
        paused_at = self.now()
        while pause.is_set():
            monitor.raise_if_cancelled()
            time.sleep(_POLL_S)
        self.start += self.now() - paused_at
