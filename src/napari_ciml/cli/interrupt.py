"""What Ctrl-C does to work that can be gone on with."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from napari_ciml.progress import ProgressMonitor

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def graceful_interrupt(monitor: ProgressMonitor) -> Iterator[None]:
    """Let the first Ctrl-C, or the first polite kill, ask the work to stop; the next one ends it.

    Work that is asked ends between two steps, with everything kept.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(_: int, __: FrameType | None) -> None:
        monitor.stop.set()
        restore()

    for number in _SIGNALS:
        signal.signal(number, ask)
    try:
        yield
    finally:
        restore()
