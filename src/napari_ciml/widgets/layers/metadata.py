"""Where a layer of ours comes from, kept in its metadata, so that names are free; where it lies."""

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
    """Where a layer comes from: its kind, what it shows, and the case it lies on.

    ``regions`` is what the values of a label map mean; empty if nobody has said so. ``region`` is
    the one that is shown, of layers that show something of one.
    """

    kind: str
    shows: str
    case: Case
    regions: tuple[Region, ...] = ()
    region: str = ""


def metadata_of(layer: Layer) -> LayerMetadata | None:
    """Return a layer's origin, or None if it was not made here."""
    found = layer.metadata.get(KEY)
    return found if isinstance(found, LayerMetadata) else None


def plugin_layers(viewer: "ViewerModel", *kinds: str) -> list[Layer]:
    """Return the layers of these kinds, bottom first."""
    return [
        layer
        for layer in viewer.layers
        if (found := metadata_of(layer)) is not None and found.kind in kinds
    ]


def require_metadata(layer: Layer) -> LayerMetadata:
    """Return the origin of a layer that was made here."""
    found = metadata_of(layer)
    if found is None:
        raise KeyError(layer.name)
    return found


def layer_kwargs(
    case: Case, kind: str, shows: str, regions: tuple[Region, ...] = (), region: str = ""
) -> dict[str, Any]:
    """Return what places a layer on the case grid, in millimetres, and says what it is."""
    grid = case.grid
    return {
        "scale": grid.scale,
        "translate": grid.translate,
        "units": ("mm", "mm", "mm"),
        "metadata": {KEY: LayerMetadata(kind, shows, case, regions, region)},
    }


def voxel_at(case: Case, position: Sequence[float]) -> tuple[int, int, int]:
    """Return the voxel (z, y, x) of a case at a position of the viewer, in millimetres."""
    places = zip(position[-3:], case.grid.scale, case.grid.translate, strict=True)
    z, y, x = (round((mm - first) / step) for mm, step, first in places)
    return z, y, x


COMPUTED = "drawn"
"""Metadata key of a segmentation as it was computed, to see whether the user has painted on it."""


def is_unedited(layer: Layer) -> bool:
    """Whether a layer of ours shows what was computed, and no stroke of the user's."""
    drawn = layer.metadata.get(COMPUTED)
    return metadata_of(layer) is not None and (drawn is None or np.array_equal(layer.data, drawn))


def clear_paint_history(layer: Labels) -> None:
    """Empty napari's undo list, which would paint strokes of the data before on the new data."""
    mode = layer.mode
    layer.editable = False
    layer.editable = True
    layer.mode = mode


def mark_unedited(layer: Labels) -> None:
    """Let a label map that was painted on go with its case: its strokes are kept elsewhere."""
    layer.metadata[COMPUTED] = np.array(layer.data)
