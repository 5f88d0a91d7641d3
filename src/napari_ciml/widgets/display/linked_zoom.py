"""Zoom several canvases together by the same factor."""

from collections.abc import Callable
from math import isclose
from weakref import WeakKeyDictionary

import numpy as np
from napari.components import ViewerModel


class LinkedZoom:
    """Zoom every canvas when one is zoomed, around the point that all of them show.

    Parameters
    ----------
    active : callable
        Returns whether zooming now is done by the user.

    Attributes
    ----------
    together : bool
        Whether the canvases zoom together.
    """

    def __init__(self, active: Callable[[], bool]) -> None:
        self._active = active
        self._zooms: WeakKeyDictionary[ViewerModel, float] = WeakKeyDictionary()
        self._following = False
        self.linked = True

    def begin(self, main: ViewerModel) -> None:
        """Start again with a single viewer."""
        for model in list(self._zooms):
            model.scene.camera.events.zoom.disconnect(self._on_zoom)
        self._zooms.clear()
        self.add(main)

    def add(self, model: ViewerModel) -> None:
        """Add the viewer of a further canvas."""
        self._zooms[model] = model.scene.camera.zoom
        model.scene.camera.events.zoom.connect(self._on_zoom)

    def _on_zoom(self, event: object) -> None:
        camera = event.source  # type: ignore[attr-defined]
        for model, before in list(self._zooms.items()):
            if model.scene.camera is not camera:
                continue
            self._zooms[model] = camera.zoom
            factor = camera.zoom / before
            if self.linked and not self._following and self._active():
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
    """Zoom around the current point, which keeps its position on the canvas."""
    camera = model.scene.camera
    axes = list(model.dims.displayed)[-2:]
    point = np.array([model.dims.point[axis] for axis in axes])
    centre = np.array(camera.center[-2:])
    camera.zoom *= factor
    camera.center = (camera.center[0], *(point + (centre - point) / factor))
