"""The time that a fine-tune has."""

import time
from threading import Event

from napari_ciml.monitor import Monitor


class Clock:
    """Time that stands still while the work is paused."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.begun = seconds, time.monotonic()

    @property
    def share(self) -> float:
        """Share of the time that has gone by."""
        return (time.monotonic() - self.begun) / self.seconds

    def wait_while(self, pause: Event, monitor: Monitor) -> None:
        """Wait, without time going by, until nobody wants a pause."""
        asked = time.monotonic()
        while pause.is_set():
            monitor.check()
            time.sleep(0.05)
        self.begun += time.monotonic() - asked
