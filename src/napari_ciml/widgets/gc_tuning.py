"""Keeps Python's search for garbage from stopping the window."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


_USUAL = gc.get_threshold()

_RARELY = 1000
"""How often middle-aged objects are searched before all are; Python's own figure is 10."""


class GcThrottle:
    """Searches for garbage sparingly from the first case on.

    PyTorch, napari and the window are a million objects that stay: looking at all of them stops
    every thread for half a second, whenever Python thinks it is time, and whenever napari removes
    a layer. What is there with the first case is left out; what comes later, layers above all, is
    searched when napari removes a layer, and seldom by itself.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Once a layer that was left out is removed, everything is searched again.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._begun = self._holds = False
        self._layers: WeakSet[Layer] = WeakSet()
        viewer.layers.events.removed.connect(self._removed)

    def start(self, viewer: "ViewerModel") -> None:
        """Leave out what is there now; only the first call does."""
        if not self._begun:
            self._begun = self._holds = True
            self._layers.update(viewer.layers)
            gc.freeze()
            gc.set_threshold(*_USUAL[:2], _RARELY)

    def stop(self) -> None:
        """Search everything again, as often as ever."""
        if self._holds:
            self._holds = False
            gc.unfreeze()
            gc.set_threshold(*_USUAL)

    def _removed(self, event: object) -> None:
        if event.value in self._layers:  # type: ignore[attr-defined]
            self.stop()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Do not search while much is imported: it would be done again and again, and find nothing."""
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            # Among the oldest at once: as the youngest, all would be searched now.
            gc.freeze()
            gc.unfreeze()
        gc.enable()


@contextmanager
def skip_gc_collect() -> Iterator[None]:
    """Keep napari from searching for garbage when a layer that only mirrors another is removed.

    It does so for the sake of some drivers on Windows. With three planes it takes a tenth of a
    second, for each layer; Python searches by itself in time.
    """
    if sys.platform == "win32":
        yield
        return
    collect = gc.collect
    gc.collect = lambda generation=2: 0  # noqa: ARG005
    try:
        yield
    finally:
        gc.collect = collect
