"""What divides the canvas into panes, and makes it one again, in turns of the event loop."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.event_loop import call_later, run_stepwise
from napari_ciml.widgets.layers.case_layers import CaseLayers

SPACING = 4.0
"""Pixels between panes."""


class GridLayout(ABC):
    """The canvas in panes, and back.

    Parameters
    ----------
    layers : CaseLayers
        Of the viewer.
    annotations : Annotations
        Of its canvas; every pane has its own.
    changed : callable
        Called when they were shown or left.

    Attributes
    ----------
    busy : bool
        Whether they are being shown or left.
    """

    def __init__(
        self, layers: CaseLayers, annotations: Annotations, changed: Callable[[], None]
    ) -> None:
        self.layers, self.annotations, self.on_changed = layers, annotations, changed
        self.busy = False

    @property
    @abstractmethod
    def shown(self) -> bool:
        """Whether there are panes."""

    @abstractmethod
    def _restore_steps(self) -> Iterator[None]:
        """Go back to one picture, step by step."""

    def restore(self) -> None:
        """Show one picture again, as before."""
        if not self.busy and self.shown:
            self._run(self._restore_steps())

    def close(self) -> None:
        """Do nothing more; the window goes."""
        self.busy = True

    def _hidden(self, *_: object) -> None:
        """Leave when another part of the window shows something else than what is in panes."""
        if self.shown and not self.busy:
            call_later(self.restore)

    def _run(self, steps: Iterator[None]) -> None:
        """Take steps, each in a turn of the event loop of its own."""
        self.busy = True
        run_stepwise(steps, self._arranged)

    def _arranged(self) -> None:
        self.busy = False
        self.on_changed()
