"""The outline of the brain in images that show the skull."""

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_ciml.cases.case import Case
from napari_ciml.widgets.layers.metadata import layer_kwargs

_WIDTH = 1
"""In voxels."""


def brain_layer(case: Case, mask: np.ndarray) -> Labels:
    """Return the outline of a brain mask, (Z, Y, X) bool; it is to be looked at only."""
    layer = Labels(
        mask.astype(np.uint8),
        name="brain mask",
        colormap=DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", 1: "cyan"}),
        features={"index": [0, 1], "region": ["not shown to the network", "brain"]},
        **layer_kwargs(case, "brain", ""),
    )
    layer.contour = _WIDTH
    layer.editable = False
    return layer
