"""Work for the GUI thread in steps, so that what the user does comes in between."""

from collections.abc import Callable, Iterator

from qtpy.QtCore import QTimer

_PAUSE = 1
"""In milliseconds. With 0 Qt appends what is to come to the turn that runs: the steps would follow
one another before a mouse or a timer is heard."""


def call_later(do: Callable[[], None]) -> None:
    """Do something in the next turn of the event loop."""
    QTimer.singleShot(_PAUSE, do)


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
