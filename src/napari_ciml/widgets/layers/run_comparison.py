"""Layers of what changed between two runs, and of two runs beside each other."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.colormaps import DirectLabelColormap

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Region
from napari_ciml.session.comparison import ADDED, ALL, REMOVED, LabelMapDiff
from napari_ciml.widgets.layers.colormaps import label_colours, label_features
from napari_ciml.widgets.layers.metadata import layer_kwargs, metadata_of, require_metadata

if TYPE_CHECKING:
    from napari.components import ViewerModel

ADDED_COLOUR, REMOVED_COLOUR = "#ff9d1e", "#2b8cff"
"""Orange and blue, which the colour-blind tell apart."""

FIRST_COLOUR, SECOND_COLOUR = "#00e5ff", "#ff4fd8"
"""The contours of two runs that are compared."""

_WIDTH = 1


def show_change(viewer: "ViewerModel", case: Case, change: LabelMapDiff, name: str) -> None:
    """Show the voxels that an edit added and removed, over the segmentation."""
    colours: dict[int | None, str] = {ADDED: ADDED_COLOUR, REMOVED: REMOVED_COLOUR}
    layer = _put(viewer, case, "change", "", change.voxels[name], colours)
    layer.name = "changed" if name == ALL else f"changed in {name}"
    layer.features = {"index": [0, ADDED, REMOVED], "is": ["", "added", "removed"]}
    layer.contour = 0


def hide_change(viewer: "ViewerModel") -> None:
    """Take the changed voxels away."""
    for layer in _made(viewer, "change"):
        layer.visible = False


def show_contours(
    viewer: "ViewerModel", case: Case, masks: tuple[np.ndarray, np.ndarray], names: tuple[str, str]
) -> None:
    """Show two masks as contours of two colours; filled labels make room."""
    hide_change(viewer)
    for layer in _made(viewer, "segmentation", "compared"):
        layer.visible = False
    looks = (("first", FIRST_COLOUR), ("second", SECOND_COLOUR))
    for (shows, colour), mask, name in zip(looks, masks, names, strict=True):
        layer = _put(viewer, case, "compared", shows, mask.astype(np.uint8), {1: colour})
        layer.name = name
        layer.contour = _WIDTH


def show_label_maps(
    viewer: "ViewerModel", case: Case, maps: Sequence[tuple[str, np.ndarray, tuple[Region, ...]]]
) -> list[Labels]:
    """Show whole label maps of two runs, filled, instead of contours; named, with their regions."""
    for layer in _made(viewer, "compared"):
        layer.visible = False
    found = []
    for shows, (name, labels, regions) in zip(("first map", "second map"), maps, strict=True):
        layer = _put(viewer, case, "compared", shows, labels, {})
        layer.name, layer.opacity, layer.contour = name, 0.55, 0
        layer.colormap, layer.features = label_colours(regions), label_features(regions)
        found.append(layer)
    return found


def hide_compared(viewer: "ViewerModel") -> None:
    """Take the contours away, and show the segmentation again, if it made room for them."""
    contours = [layer for layer in _made(viewer, "compared") if layer.visible]
    for layer in contours:
        layer.visible = False
    for layer in _made(viewer, "segmentation") if contours else ():
        layer.visible = True


def _put(
    viewer: "ViewerModel",
    case: Case,
    kind: str,
    shows: str,
    values: np.ndarray,
    colours: Mapping[int | None, str],
) -> Labels:
    """Give the layer of a kind other values, or make it; napari is slow to remove one."""
    for layer in _made(viewer, kind):
        if require_metadata(layer).shows == shows and isinstance(layer, Labels):
            layer.data = values
            layer.visible = True
            return layer
    palette = {None: "transparent", 0: "transparent", **colours}
    made = Labels(
        values,
        colormap=DirectLabelColormap(color_dict=palette),
        opacity=0.9,
        **layer_kwargs(case, kind, shows),
    )
    made.editable = False
    active = viewer.layers.selection.active
    viewer.add_layer(made)
    viewer.layers.selection.active = active
    return made


def _made(viewer: "ViewerModel", *kinds: str) -> list[Layer]:
    return [la for la in viewer.layers if (found := metadata_of(la)) and found.kind in kinds]
