"""Signals whose listeners take several turns of the event loop."""

from collections.abc import Callable, Iterator
from typing import Any


class StepwiseSignal:
    """A signal whose listeners are generators.

    Adding layers takes longer than a window may stand still. Whoever emits the signal goes through
    the steps of the listeners, one listener after the other, and lets the event loop run between
    them.
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[..., Iterator[None]]] = []

    def connect(self, listener: Callable[..., Iterator[None]]) -> None:
        """Add a listener; it is called with the arguments of `emit`."""
        self._listeners.append(listener)

    def emit(self, *arguments: Any) -> Iterator[None]:
        """Yield after each step of each listener, in the order in which they were connected."""
        for listener in self._listeners:
            yield from listener(*arguments)
