"""Label map layers that are corrected or compared; moving to a voxel; the brush of a region."""

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
    """Return the editable label maps of a case, the latest first."""
    layers = plugin_layers(viewer, "segmentation", "correction")
    return [layer for layer in reversed(layers) if require_metadata(layer).case is case]


def add_correction(
    viewer: "ViewerModel",
    case: Case,
    labels: np.ndarray,
    regions: tuple[Region, ...],
    name: str = "segmentation (restored)",
) -> Labels:
    """Add an autosaved or saved correction as a Labels layer."""
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
    """Show the outline of the reference, or hide it if there is none."""
    existing = plugin_layers(viewer, "reference")
    if reference is None or not reference.regions:
        for layer in existing:
            layer.visible = False
        return
    attributes = {
        "name": f"reference: {reference.name}",
        "contour": _REFERENCE_WIDTH,
        "colormap": label_colours(reference.regions),
        "features": label_features(reference.regions),
        "metadata": layer_kwargs(case, "reference", "", reference.regions)["metadata"],
    }
    _put(viewer, case, "reference", reference.labels, attributes)


def show_difference(
    viewer: "ViewerModel", case: Case, values: np.ndarray | None, region: str = ""
) -> None:
    """Show the difference of two label maps in a region, or hide it if ``values`` is None."""
    for layer in plugin_layers(viewer, "reference"):
        layer.visible = values is None
    if values is None:
        for layer in plugin_layers(viewer, "difference"):
            layer.visible = False
        return
    attributes = {
        "name": f"difference in {region}",
        "colormap": DIFFERENCE_COLOURS,
        "features": DIFFERENCE_FEATURES,
        "metadata": layer_kwargs(case, "difference", "difference", region=region)["metadata"],
    }
    _put(viewer, case, "difference", values, attributes)
    for layer in (
        *label_maps(viewer, case),
        *plugin_layers(viewer, "uncertainty", "map", "probability"),
    ):
        layer.visible = False


def go_to(viewer: "ViewerModel", case: Case, voxel: tuple[int, int, int]) -> None:
    """Go to the slice of a voxel (z, y, x) and centre the camera on it."""
    world = [
        first + index * mm
        for index, mm, first in zip(voxel, case.grid.scale, case.grid.translate, strict=True)
    ]
    viewer.dims.set_point((0, 1, 2), world)
    viewer.scene.camera.center = tuple(world)


def displayed_slice(
    viewer: "ViewerModel", case: Case, values: np.ndarray
) -> tuple[int, np.ndarray]:
    """Return the axis perpendicular to the displayed plane, and the slice of (Z, Y, X) values.

    In 3-D the axis is 0 and the values are returned as they are.
    """
    if viewer.dims.ndisplay == 3:
        return 0, values
    dims, grid = viewer.dims, case.grid
    axis = max(0, dims.order[-3] - dims.ndim + 3)  # other plugins' layers may have a time axis
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
    """Activate the brush for a region on a label map, or with ``erase`` the eraser."""
    layer.visible = True
    layer.contour = 0
    viewer.layers.selection.active = layer
    layer.preserve_labels = False  # `region_painting` preserves nested regions
    layer.selected_label = paint_label(region, regions)
    layer.mode = "erase" if erase else "paint"


def apply_fixes(layer: Labels, issues: tuple[LabelIssue, ...]) -> None:
    """Apply all available fixes as one stroke that can be undone."""
    if not layer.visible:  # napari cannot paint on an invisible layer
        layer.visible = True
    with layer.block_history():
        for issue in issues:
            if issue.value is not None:
                layer.data_setitem(issue.where, issue.value, refresh=False)
    layer.refresh()


def _put(
    viewer: "ViewerModel",
    case: Case,
    kind: str,
    values: np.ndarray,
    attributes: dict[str, object],
) -> None:
    """Update the layer of a kind, or add it; napari is slow to remove one."""
    existing = plugin_layers(viewer, kind)
    layer = existing[0] if existing else Labels(values, **layer_kwargs(case, kind, ""))
    if existing:
        layer.data = values
    for attribute, value in (attributes | {"visible": True}).items():
        setattr(layer, attribute, value)
    if not existing:
        layer.editable = False
        active = viewer.layers.selection.active
        viewer.add_layer(layer)
        viewer.layers.selection.active = active
