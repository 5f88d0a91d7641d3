"""Metadata of the plugin's layers: kind, case, regions; whether a label map was edited."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Region

if TYPE_CHECKING:
    from napari.components import ViewerModel

KEY = "napari_ciml"


@dataclass(frozen=True)
class LayerMetadata:
    """Metadata of a layer of the plugin.

    Parameters
    ----------
    kind : str
        Kind of the layer, as ``modality``, ``segmentation`` or ``map``.
    shows : str
        What of its kind is shown, as the name of the modality.
    case : Case
        Case whose grid the layer is on.
    regions : tuple of Region
        Regions of a label map's values; empty if unknown.
    region : str
        Region that the layer shows, if it is about one.
    """

    kind: str
    shows: str
    case: Case
    regions: tuple[Region, ...] = ()
    region: str = ""


def metadata_of(layer: Layer) -> LayerMetadata | None:
    """Return the metadata of a layer, or None if it is not one of the plugin."""
    metadata = layer.metadata.get(KEY)
    return metadata if isinstance(metadata, LayerMetadata) else None


def plugin_layers(viewer: "ViewerModel", *kinds: str) -> list[Layer]:
    """Return the plugin's layers of these kinds, bottom first."""
    return [
        layer
        for layer in viewer.layers
        if (metadata := metadata_of(layer)) is not None and metadata.kind in kinds
    ]


def require_metadata(layer: Layer) -> LayerMetadata:
    """Return the metadata of a layer of the plugin.

    Raises
    ------
    KeyError
        If it is a layer of something else.
    """
    metadata = metadata_of(layer)
    if metadata is None:
        raise KeyError(layer.name)
    return metadata


def layer_kwargs(
    case: Case, kind: str, shows: str, regions: tuple[Region, ...] = (), region: str = ""
) -> dict[str, Any]:
    """Return scale, translation, units (mm) and metadata of a layer on the case grid."""
    grid = case.grid
    return {
        "scale": grid.scale,
        "translate": grid.translate,
        "units": ("mm", "mm", "mm"),
        "metadata": {KEY: LayerMetadata(kind, shows, case, regions, region)},
    }


def voxel_at(case: Case, position: Sequence[float]) -> tuple[int, int, int]:
    """Return the voxel (z, y, x) of a case at a position of the viewer in mm."""
    axes = zip(position[-3:], case.grid.scale, case.grid.translate, strict=True)
    z, y, x = (round((mm - first) / step) for mm, step, first in axes)
    return z, y, x


COMPUTED = "computed"
"""Metadata key of the label map as it was computed, to detect edits."""


def is_unedited(layer: Layer) -> bool:
    """Return whether a layer of the plugin shows the computed data, without edits."""
    computed = layer.metadata.get(COMPUTED)
    return metadata_of(layer) is not None and (
        computed is None or np.array_equal(layer.data, computed)
    )


def clear_paint_history(layer: Labels) -> None:
    """Clear napari's undo history, which would apply strokes of the previous data."""
    mode = layer.mode
    layer.editable = False
    layer.editable = True
    layer.mode = mode


def mark_unedited(layer: Labels) -> None:
    """Mark the current data of a label map as saved, so that it goes with its case."""
    layer.metadata[COMPUTED] = np.array(layer.data)
