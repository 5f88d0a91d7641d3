"""Handling of Ctrl-C during work that can be resumed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from napari_ciml.progress import ProgressMonitor

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def graceful_interrupt(monitor: ProgressMonitor) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a cancellation request; the second terminates.

    Work that is cancelled stops between two steps, with its state saved.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def cancel(_: int, __: FrameType | None) -> None:
        monitor.stop.set()
        restore()

    for number in _SIGNALS:
        signal.signal(number, cancel)
    try:
        yield
    finally:
        restore()
