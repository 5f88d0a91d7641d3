"""The time, or the steps, that a fine-tune has."""

import time
from threading import Event

from napari_ciml.progress import ProgressMonitor


class Clock:
    """Time that stands still while the work is paused.

    Parameters
    ----------
    seconds : float
        In all.
    steps : int, optional
        If given, these count, and the time does not.
    gone : float
        Share of the time that has gone by already.
    """

    def __init__(self, seconds: float, steps: int | None = None, gone: float = 0.0) -> None:
        self.seconds, self.steps = seconds, steps
        self.gone = gone
        self.begun = time.monotonic() - (gone * seconds if steps is None else 0.0)

    def fraction_done(self, step: int) -> float:
        """Return the share that has gone by, from 0 to 1, when so many steps are taken."""
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        return min((time.monotonic() - self.begun) / self.seconds, 1.0)

    def seconds_left(self, step: int) -> float:
        """Return the seconds left when so many steps are taken: a guess, if steps count."""
        share = self.fraction_done(step)
        if self.steps is None:
            return (1 - share) * self.seconds
        used = time.monotonic() - self.begun
        return used * (1 - share) / max(share - self.gone, 1e-9)

    def wait_while(self, pause: Event, monitor: ProgressMonitor) -> None:
        """Wait, without time going by, until nobody wants a pause."""
        asked = time.monotonic()
        while pause.is_set():
            monitor.raise_if_cancelled()
            time.sleep(0.05)
        self.begun += time.monotonic() - asked
