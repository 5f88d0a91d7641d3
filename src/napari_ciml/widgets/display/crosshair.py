"""The crosshair: three lines through one point, as a layer that every plane cuts."""

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Vectors

if TYPE_CHECKING:
    from napari.components import ViewerModel

_COLOUR = "#4dd0e1"
_WIDTH = 0.5
"""Of a line, in voxels."""


def make_crosshair(viewer: "ViewerModel") -> Vectors:
    """Return a layer with the crosshair of a viewer with three dimensions, in millimetres.

    It lies on the viewer's own steps, so that sliders keep theirs.
    """
    spans = viewer.dims.range[-3:]
    return Vectors(
        _lines(viewer),
        name="crosshair",
        edge_color=_COLOUR,
        edge_width=_WIDTH,
        vector_style="line",
        opacity=0.8,
        scale=[span.step for span in spans],
        translate=[span.start for span in spans],
        units=("mm", "mm", "mm"),
    )


def move_crosshair(layer: Vectors, viewer: "ViewerModel") -> None:
    """Move the crosshair to where the viewer is."""
    layer.data = _lines(viewer)


def _lines(viewer: "ViewerModel") -> np.ndarray:
    """Return a line along each axis in steps: (3, 2, 3), its start and its length."""
    spans = np.array([tuple(span) for span in viewer.dims.range[-3:]])
    start, stop, step = spans.T
    lines = np.zeros((3, 2, 3))
    for axis in range(3):
        lines[axis, 0] = (np.array(viewer.dims.point[-3:]) - start) / step
        lines[axis, 0, axis] = 0
        lines[axis, 1, axis] = (stop[axis] - start[axis]) / step[axis]
    return lines
