"""Zooms several canvases together, each in proportion to how it fits its volume."""

from collections.abc import Callable
from math import isclose
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import ViewerModel


class LinkedZoom:
    """Lets every canvas zoom when one does, around the point that all of them show.

    Parameters
    ----------
    watching : callable
        Whether what happens now is the user's doing.

    Attributes
    ----------
    together : bool
        Or each by itself.
    """

    def __init__(self, watching: Callable[[], bool]) -> None:
        self._watching = watching
        self._zooms: WeakKeyDictionary[ViewerModel, float] = WeakKeyDictionary()
        self._following = False
        self.linked = True

    def begin(self, main: ViewerModel) -> None:
        """Begin with a viewer alone."""
        for model in list(self._zooms):
            model.scene.camera.events.zoom.disconnect(self._zoomed)
        self._zooms.clear()
        self.add(main)

    def add(self, model: ViewerModel) -> None:
        """Add a canvas."""
        self._zooms[model] = model.scene.camera.zoom
        model.scene.camera.events.zoom.connect(self._zoomed)

    def _zoomed(self, event: object) -> None:
        camera = event.source  # type: ignore[attr-defined]
        for model, before in list(self._zooms.items()):
            if model.scene.camera is not camera:
                continue
            self._zooms[model] = camera.zoom
            factor = camera.zoom / before
            if self.linked and not self._following and self._watching():
                self._follow(model, factor)

    def _follow(self, leader: ViewerModel, factor: float) -> None:
        if isclose(factor, 1, rel_tol=1e-6):
            return
        self._following = True
        try:
            for model in self._zooms:
                if model is not leader:
                    _zoom(model, factor)
        finally:
            self._following = False


def _zoom(model: ViewerModel, factor: float) -> None:
    """Zoom around the point that is shown, which stays where it is on the canvas."""
    camera = model.scene.camera
    shown = list(model.dims.displayed)[-2:]
    still = np.array([model.dims.point[axis] for axis in shown])
    centre = np.array(camera.center[-2:])
    camera.zoom *= factor
    camera.center = (camera.center[0], *(still + (centre - still) / factor))
