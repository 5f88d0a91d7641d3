"""Work on the GUI thread in steps or after a while, so that user input is handled in between."""

from collections.abc import Callable, Iterator

from qtpy.QtCore import QTimer

_PAUSE = 1
"""Milliseconds. With 0, Qt appends what is to come to the turn of the event loop that runs: the
steps would follow one another before a mouse event or a timer is handled."""


def call_later(function: Callable[[], None]) -> None:
    """Call a function in the next turn of the event loop."""
    QTimer.singleShot(_PAUSE, function)


def run_stepwise(steps: Iterator[None], ended: Callable[[], None]) -> None:
    """Take steps, each in a turn of the event loop of its own, the first one now.

    Parameters
    ----------
    steps : iterator
        What is done between two of its values is a step.
    ended : callable
        Called after the last one.
    """
    try:
        next(steps)
    except StopIteration:
        ended()
    else:
        call_later(lambda: run_stepwise(steps, ended))


class DelayedCall:
    """Calls a function once, some time after it was last started.

    Parameters
    ----------
    milliseconds : int
        The delay.
    function : callable
        Called on the GUI thread.
    """

    def __init__(self, milliseconds: int, function: Callable[[], None]) -> None:
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(milliseconds)
        self._timer.timeout.connect(function)

    @property
    def pending(self) -> bool:
        """Whether the call is still to come."""
        return bool(self._timer.isActive())

    def start(self) -> None:
        """Call the function after the delay; starting again begins the delay anew."""
        self._timer.start()

    def stop(self) -> None:
        """Do not call the function."""
        self._timer.stop()
