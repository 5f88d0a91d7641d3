"""What of a label map was computed, and what a person has painted on it."""

import numpy as np
from napari.layers import Labels, Layer

from napari_ciml.widgets.layers.metadata import origin_of

DRAWN = "drawn"
"""Metadata key of a segmentation as it was computed, to see whether the user has painted on it."""


def is_unedited(layer: Layer) -> bool:
    """Whether a layer of ours shows what was computed, and no stroke of the user's."""
    drawn = layer.metadata.get(DRAWN)
    return origin_of(layer) is not None and (drawn is None or np.array_equal(layer.data, drawn))


def clear_paint_history(layer: Labels) -> None:
    """Empty napari's undo list, which would paint strokes of the data before on the new data."""
    mode = layer.mode
    layer.editable = False
    layer.editable = True
    layer.mode = mode


def mark_unedited(layer: Labels) -> None:
    """Let a label map that was painted on go with its case: its strokes are kept elsewhere."""
    layer.metadata[DRAWN] = np.array(layer.data)
