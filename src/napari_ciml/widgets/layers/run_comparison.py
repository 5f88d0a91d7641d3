"""Layers of the changes between two runs, and of two runs in comparison."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Region
from napari_ciml.session.comparison import ADDED, ALL, REMOVED, LabelMapDiff
from napari_ciml.widgets.layers.colormaps import label_colours, label_features
from napari_ciml.widgets.layers.metadata import layer_kwargs, plugin_layers, require_metadata

if TYPE_CHECKING:
    from napari.components import ViewerModel

ADDED_COLOUR, REMOVED_COLOUR = "#ff9d1e", "#2b8cff"
"""Orange and blue, distinguishable with colour blindness."""

FIRST_COLOUR, SECOND_COLOUR = "#00e5ff", "#ff4fd8"
"""Contour colours of two compared runs."""

_WIDTH = 1


def show_change(viewer: "ViewerModel", case: Case, change: LabelMapDiff, name: str) -> None:
    """Show the voxels that an edit added and removed, over the segmentation."""
    colours: dict[int | None, str] = {ADDED: ADDED_COLOUR, REMOVED: REMOVED_COLOUR}
    layer = _put(viewer, case, "change", "", change.voxels[name], colours)
    layer.name = "changed" if name == ALL else f"changed in {name}"
    layer.features = {"index": [0, ADDED, REMOVED], "is": ["", "added", "removed"]}
    layer.contour = 0


def hide_change(viewer: "ViewerModel") -> None:
    """Hide the changed voxels."""
    for layer in plugin_layers(viewer, "change"):
        layer.visible = False


def show_contours(
    viewer: "ViewerModel", case: Case, masks: tuple[np.ndarray, np.ndarray], names: tuple[str, str]
) -> None:
    """Show two masks as contours in two colours, and hide the segmentation."""
    hide_change(viewer)
    for layer in plugin_layers(viewer, "segmentation", "compared"):
        layer.visible = False
    styles = (("first", FIRST_COLOUR), ("second", SECOND_COLOUR))
    for (shows, colour), mask, name in zip(styles, masks, names, strict=True):
        layer = _put(viewer, case, "compared", shows, mask.astype(np.uint8), {1: colour})
        layer.name = name
        layer.contour = _WIDTH


def show_label_maps(
    viewer: "ViewerModel", case: Case, maps: Sequence[tuple[str, np.ndarray, tuple[Region, ...]]]
) -> list[Labels]:
    """Show the label maps of two runs, filled, instead of contours."""
    for layer in plugin_layers(viewer, "compared"):
        layer.visible = False
    layers = []
    for shows, (name, labels, regions) in zip(("first map", "second map"), maps, strict=True):
        layer = _put(viewer, case, "compared", shows, labels, {})
        layer.name, layer.opacity, layer.contour = name, 0.55, 0
        layer.colormap, layer.features = label_colours(regions), label_features(regions)
        layers.append(layer)
    return layers


def hide_compared(viewer: "ViewerModel") -> None:
    """Hide the layers of the comparison, and show the segmentation again if it was hidden."""
    contours = [layer for layer in plugin_layers(viewer, "compared") if layer.visible]
    for layer in contours:
        layer.visible = False
    for layer in plugin_layers(viewer, "segmentation") if contours else ():
        layer.visible = True


def _put(
    viewer: "ViewerModel",
    case: Case,
    kind: str,
    shows: str,
    values: np.ndarray,
    colours: Mapping[int | None, str],
) -> Labels:
    """Update the layer of a kind, or add it; napari is slow to remove one."""
    for layer in plugin_layers(viewer, kind):
        if require_metadata(layer).shows == shows and isinstance(layer, Labels):
            layer.data = values
            layer.visible = True
            return layer
    palette = {None: "transparent", 0: "transparent", **colours}
    layer = Labels(
        values,
        colormap=DirectLabelColormap(color_dict=palette),
        opacity=0.9,
        **layer_kwargs(case, kind, shows),
    )
    layer.editable = False
    active = viewer.layers.selection.active
    viewer.add_layer(layer)
    viewer.layers.selection.active = active
    return layer
