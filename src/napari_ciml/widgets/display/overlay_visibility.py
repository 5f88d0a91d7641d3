"""Display of labels and maps over the modalities: contours, visibility, opacity."""

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
"""Kinds of labels that are always drawn as contours."""
_OPACITY_STEP = 0.1


class OverlayVisibility:
    """Contours, visibility and opacity of the overlays of a viewer; linked copies follow.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Viewer of the layers.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = ref(viewer)
        self._hidden: WeakSet[Labels] = WeakSet()

    def toggle_outline(self) -> None:
        """Show labels as contours or filled; kinds in `_CONTOURS` stay contours."""
        labels = [
            layer
            for layer in self._labels()
            if (metadata := metadata_of(layer)) is None or metadata.kind not in _CONTOURS
        ]
        width = 0 if any(layer.contour for layer in labels) else _OUTLINE
        for layer in labels:
            layer.contour = width

    def toggle_labels(self) -> None:
        """Hide the visible labels, or show those again that were hidden."""
        labels = self._labels()
        if visible := [layer for layer in labels if layer.visible]:
            self._hidden = WeakSet(visible)
        for layer in visible or [layer for layer in labels if layer in self._hidden] or labels:
            layer.visible = not visible

    def change_opacity(self, step: int = 1) -> None:
        """Increase the opacity of labels and maps, or decrease it with -1."""
        for layer in self._overlays():
            layer.opacity = float(np.clip(layer.opacity + step * _OPACITY_STEP, 0, 1))

    def _overlays(self) -> list[Layer]:
        """Return the visible labels and maps, without linked copies."""
        maps = ("map", "probability", "uncertainty")
        return [
            layer
            for layer in self._layers()
            if layer.visible
            and (
                isinstance(layer, Labels)
                or ((metadata := metadata_of(layer)) is not None and metadata.kind in maps)
            )
        ]

    def _labels(self) -> list[Labels]:
        """Return the labels that are not empty, without linked copies."""
        return [layer for layer in self._layers() if isinstance(layer, Labels) and layer.data.any()]

    def _layers(self) -> list[Layer]:
        viewer = self._viewer()
        return list(primary_layers(viewer.layers)) if viewer is not None else []
