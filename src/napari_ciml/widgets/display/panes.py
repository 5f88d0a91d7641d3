"""Base class of layouts that divide the canvas into panes, step by step in the event loop."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.event_loop import call_later, run_stepwise
from napari_ciml.widgets.layers.case_layers import CaseLayers

SPACING = 4.0
"""Pixels between panes."""


class GridLayout(ABC):
    """Layout in panes of napari's grid mode.

    Parameters
    ----------
    layers : CaseLayers
        Layers of the viewer.
    annotations : Annotations
        Annotations of the canvas.
    on_changed : callable
        Called when the layout was shown or restored.

    Attributes
    ----------
    busy : bool
        Whether the layout is being shown or restored.
    """

    def __init__(
        self, layers: CaseLayers, annotations: Annotations, on_changed: Callable[[], None]
    ) -> None:
        self.layers, self.annotations, self.on_changed = layers, annotations, on_changed
        self.busy = False

    @property
    @abstractmethod
    def shown(self) -> bool:
        """Whether the panes are shown."""

    @abstractmethod
    def _restore_steps(self) -> Iterator[None]:
        """Return the steps back to a single pane."""

    def restore(self) -> None:
        """Show a single pane again, in its previous state."""
        if not self.busy and self.shown:
            self._run(self._restore_steps())

    def close(self) -> None:
        """Stop all changes; the window is being closed."""
        self.busy = True

    def _on_visibility(self, *_: object) -> None:
        """Restore the single pane when the visibility of a layer in a pane is changed elsewhere."""
        if self.shown and not self.busy:
            call_later(self.restore)

    def _run(self, steps: Iterator[None]) -> None:
        """Run steps, each in its own turn of the event loop."""
        self.busy = True
        run_stepwise(steps, self._on_end)

    def _on_end(self) -> None:
        self.busy = False
        self.on_changed()
