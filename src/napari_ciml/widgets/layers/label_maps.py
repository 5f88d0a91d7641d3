"""The layers of reading a case: label maps that are corrected or compared, and going to a place."""

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import paint_label
from napari_ciml.cases.reference import Reference
from napari_ciml.decomposition.model import Region
from napari_ciml.metrics.label_checks import LabelIssue
from napari_ciml.widgets.layers.colormaps import (
    DIFFERENCE_COLOURS,
    DIFFERENCE_FEATURES,
    label_colours,
    label_features,
)
from napari_ciml.widgets.layers.metadata import layer_kwargs, plugin_layers, require_metadata

if TYPE_CHECKING:
    from napari.components import ViewerModel

_REFERENCE_WIDTH = 1
"""Width in voxels of a reference's outline."""


def label_maps(viewer: "ViewerModel", case: Case) -> list[Labels]:
    """Return the label maps of a case that can be looked at and painted on, the latest first."""
    found = plugin_layers(viewer, "segmentation", "correction")
    return [layer for layer in reversed(found) if require_metadata(layer).case is case]


def add_correction(
    viewer: "ViewerModel",
    case: Case,
    labels: np.ndarray,
    regions: tuple[Region, ...],
    name: str = "segmentation (brought back)",
) -> Labels:
    """Show a correction that was kept or saved, as the user's own."""
    layer = Labels(
        labels,
        name=name,
        opacity=0.55,
        colormap=label_colours(regions),
        features=label_features(regions),
        **layer_kwargs(case, "correction", "", regions),
    )
    return viewer.add_layer(layer)


def show_reference(viewer: "ViewerModel", case: Case, reference: Reference | None) -> None:
    """Show the outline of what is compared with, or nothing."""
    there = plugin_layers(viewer, "reference")
    if reference is None or not reference.regions:
        for layer in there:
            layer.visible = False
        return
    look = {
        "name": f"reference: {reference.name}",
        "contour": _REFERENCE_WIDTH,
        "colormap": label_colours(reference.regions),
        "features": label_features(reference.regions),
        "metadata": layer_kwargs(case, "reference", "", reference.regions)["metadata"],
    }
    _put(viewer, case, "reference", reference.labels, look)


def show_difference(
    viewer: "ViewerModel", case: Case, values: np.ndarray | None, region: str = ""
) -> None:
    """Show where two label maps agree and differ in a region, or nothing."""
    for layer in plugin_layers(viewer, "reference"):
        layer.visible = values is None
    if values is None:
        for layer in plugin_layers(viewer, "difference"):
            layer.visible = False
        return
    look = {
        "name": f"difference in {region}",
        "colormap": DIFFERENCE_COLOURS,
        "features": DIFFERENCE_FEATURES,
        "metadata": layer_kwargs(case, "difference", "difference", region=region)["metadata"],
    }
    _put(viewer, case, "difference", values, look)
    for layer in (*label_maps(viewer, case), *plugin_layers(viewer, "doubt", "map", "probability")):
        layer.visible = False


def go_to(viewer: "ViewerModel", case: Case, voxel: tuple[int, int, int]) -> None:
    """Turn to a voxel (z, y, x): its slice, and the camera on it."""
    world = [
        first + index * mm
        for index, mm, first in zip(voxel, case.grid.scale, case.grid.translate, strict=True)
    ]
    viewer.dims.set_point((0, 1, 2), world)
    viewer.scene.camera.center = tuple(world)


def displayed_slice(
    viewer: "ViewerModel", case: Case, values: np.ndarray
) -> tuple[int, np.ndarray]:
    """Return across which axis the viewer cuts, and what (Z, Y, X) values it shows of a case.

    In 3-D it shows all of them, and the axis is the first.
    """
    if viewer.dims.ndisplay == 3:
        return 0, values
    dims, grid = viewer.dims, case.grid
    axis = max(0, dims.order[-3] - dims.ndim + 3)  # others may have layers with a time axis
    index = round((dims.point[-3:][axis] - grid.translate[axis]) / grid.scale[axis])
    return axis, values.take(index, axis=axis, mode="clip")


def select_brush(
    viewer: "ViewerModel",
    layer: Labels,
    region: Region,
    regions: tuple[Region, ...],
    *,
    erase: bool = False,
) -> None:
    """Take up the brush for a region on a label map, or with ``erase`` the eraser."""
    layer.visible = True
    layer.contour = 0
    viewer.layers.selection.active = layer
    layer.preserve_labels = False  # `strokes` spares what lies inside the region
    layer.selected_label = paint_label(region, regions)
    layer.mode = "erase" if erase else "paint"


def apply_fixes(layer: Labels, faults: tuple[LabelIssue, ...]) -> None:
    """Mend what has a remedy, as one stroke that can be undone."""
    if not layer.visible:  # of which napari has no slice to paint on
        layer.visible = True
    with layer.block_history():
        for fault in faults:
            if fault.value is not None:
                layer.data_setitem(fault.where, fault.value, refresh=False)
    layer.refresh()


def _put(
    viewer: "ViewerModel",
    case: Case,
    kind: str,
    values: np.ndarray,
    look: dict[str, object],
) -> None:
    """Give the layer of a kind other values, or make it; napari is slow to remove one."""
    there = plugin_layers(viewer, kind)
    layer = there[0] if there else Labels(values, **layer_kwargs(case, kind, ""))
    if there:
        layer.data = values
    for attribute, value in (look | {"visible": True}).items():
        setattr(layer, attribute, value)
    if not there:
        layer.editable = False
        active = viewer.layers.selection.active
        viewer.add_layer(layer)
        viewer.layers.selection.active = active
