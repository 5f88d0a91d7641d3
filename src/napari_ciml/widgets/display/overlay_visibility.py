"""Labels and maps over the modalities: as contours, hidden, more or less opaque."""

from typing import TYPE_CHECKING
from weakref import WeakSet, ref

import numpy as np
from napari.layers import Labels, Layer

from napari_ciml.widgets.display.linked_layers import primary_layers
from napari_ciml.widgets.layers.metadata import metadata_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

_OUTLINE = 1
_CONTOURS = ("brain", "reference", "compared")
"""Kinds of labels that are drawn to be looked at as contours."""
_OPACITY_STEP = 0.1


class OverlayVisibility:
    """What lies over the modalities of a viewer, and how it is drawn; mirrors follow by themselves.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = ref(viewer)
        self._hidden: WeakSet[Labels] = WeakSet()

    def toggle_outline(self) -> None:
        """Show labels as contours, or filled; what is a contour by its nature stays one."""
        shown = [
            layer
            for layer in self._labels()
            if (found := metadata_of(layer)) is None or found.kind not in _CONTOURS
        ]
        width = 0 if any(layer.contour for layer in shown) else _OUTLINE
        for layer in shown:
            layer.contour = width

    def toggle_labels(self) -> None:
        """Hide the labels to see what is beneath, or show those again that were hidden."""
        there = self._labels()
        if shown := [layer for layer in there if layer.visible]:
            self._hidden = WeakSet(shown)
        for layer in shown or [layer for layer in there if layer in self._hidden] or there:
            layer.visible = not shown

    def change_opacity(self, step: int = 1) -> None:
        """Make labels and maps more opaque, or less with -1."""
        for layer in self._overlays():
            layer.opacity = float(np.clip(layer.opacity + step * _OPACITY_STEP, 0, 1))

    def _overlays(self) -> list[Layer]:
        """Return labels, and what is laid over, that are visible; mirrors follow by themselves."""
        maps = ("map", "probability", "doubt")
        return [
            layer
            for layer in self._there()
            if layer.visible
            and (
                isinstance(layer, Labels)
                or ((found := metadata_of(layer)) is not None and found.kind in maps)
            )
        ]

    def _labels(self) -> list[Labels]:
        """Return the labels there are, without those of a case not segmented yet."""
        found = self._there()
        return [layer for layer in found if isinstance(layer, Labels) and layer.data.any()]

    def _there(self) -> list[Layer]:
        viewer = self._viewer()
        return list(primary_layers(viewer.layers)) if viewer is not None else []
