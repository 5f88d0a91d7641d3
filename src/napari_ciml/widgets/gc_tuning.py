"""Keep pauses by Python's garbage collector out of the event loop."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


_DEFAULT_THRESHOLD = gc.get_threshold()

_FULL_COLLECTION_THRESHOLD = 1000
"""Collections of the middle generation before a full one; Python's default is 10."""


class GcThrottle:
    """Freeze startup objects out of garbage collection once a case is open.

    PyTorch, napari and the window are a million objects that stay. A full collection of them stops
    every thread for half a second or more, both when Python starts one and when napari calls
    ``gc.collect`` after removing a layer. Objects that exist when the first case is open are
    frozen; newer ones, layers above all, are collected as usual, with fewer full collections.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Viewer whose layers are watched: when a frozen layer is removed, all objects are unfrozen.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._started = self._active = False
        self._frozen_layers: WeakSet[Layer] = WeakSet()
        viewer.layers.events.removed.connect(self._on_removed)

    def start(self, viewer: "ViewerModel") -> None:
        """Freeze all existing objects; only the first call has an effect."""
        if not self._started:
            self._started = self._active = True
            self._frozen_layers.update(viewer.layers)
            gc.freeze()
            gc.set_threshold(*_DEFAULT_THRESHOLD[:2], _FULL_COLLECTION_THRESHOLD)

    def stop(self) -> None:
        """Unfreeze all objects and restore Python's thresholds."""
        if self._active:
            self._active = False
            gc.unfreeze()
            gc.set_threshold(*_DEFAULT_THRESHOLD)

    def _on_removed(self, event: object) -> None:
        if event.value in self._frozen_layers:  # type: ignore[attr-defined]
            self.stop()


@contextmanager
def gc_paused() -> Iterator[None]:
    """Disable garbage collection while large modules are imported."""
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():
            # Move new objects to the oldest generation; as young ones they would all be scanned.
            gc.freeze()
            gc.unfreeze()
        gc.enable()
