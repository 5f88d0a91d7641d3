"""Calipers: the diameters of a lesion as two lines in the axial slice of measurement."""

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Vectors

from napari_ciml.cases.case import Case
from napari_ciml.metrics.diameters import Diameters
from napari_ciml.widgets.layers.metadata import layer_kwargs, plugin_layers

if TYPE_CHECKING:
    from napari.components import ViewerModel

_COLOUR = "#ffffff"
_WIDTH = 0.6
"""Width of a line in voxels."""


def draw_calipers(viewer: "ViewerModel", case: Case, diameters: Diameters) -> None:
    """Draw both diameters of a lesion, in place of those of another one."""
    scale, first = np.array(case.grid.scale), np.array(case.grid.translate)
    ends = (np.array(diameters.lines).reshape(-1, 2, 3) - first) / scale
    # At the centre of a slice: a line between two slices would be in neither.
    ends[..., 0] = slice_of(case, diameters)
    lines = np.stack((ends[:, 0], ends[:, 1] - ends[:, 0]), axis=1)
    name = f"{diameters.longest_mm:.1f} x {diameters.perpendicular_mm:.1f} mm"
    existing = plugin_layers(viewer, "calipers")
    if existing:
        existing[0].data, existing[0].name, existing[0].visible = lines, name, True
        return
    layer = Vectors(
        lines,
        name=name,
        edge_color=_COLOUR,
        edge_width=_WIDTH,
        vector_style="line",
        **layer_kwargs(case, "calipers", ""),
    )
    active = viewer.layers.selection.active
    viewer.add_layer(layer)
    viewer.layers.selection.active = active


def slice_of(case: Case, diameters: Diameters) -> int:
    """Return the index of the slice in which diameters were measured."""
    above = diameters.lines[0][0][0] - case.grid.translate[0]
    return int(np.clip(round(above / case.grid.scale[0]), 0, case.grid.shape[0] - 1))


def hide_calipers(viewer: "ViewerModel") -> None:
    """Hide the lines; the layer is reused, as napari is slow to remove one."""
    for layer in plugin_layers(viewer, "calipers"):
        layer.visible = False
