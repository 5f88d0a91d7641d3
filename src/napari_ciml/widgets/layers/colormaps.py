"""Colormaps of modalities, label maps, maps and differences."""

from collections.abc import Sequence
from typing import Any

from napari.layers import Image
from napari.utils.colormaps import Colormap, DirectLabelColormap

from napari_ciml.decomposition.model import Region
from napari_ciml.export.report import MAP_STOPS
from napari_ciml.metrics.agreement import ADDED, AGREED, MISSED

MAP_COLOURS = Colormap(MAP_STOPS, name="complementary information")

PET_COLOURS = {"inverted grey": "gray_r", "hot": "hot"}

UNCERTAINTY_COLOURS = Colormap(
    [[0.2, 0.05, 0.3, 0.0], [0.55, 0.1, 0.45, 0.55], [0.95, 0.45, 0.2, 0.8], [1, 0.95, 0.65, 1]],
    name="uncertainty",
)
"""Purple, orange, pale yellow; transparent where the uncertainty is 0."""

DIFFERENCE_COLOURS = DirectLabelColormap(
    color_dict={
        None: "transparent",
        0: "transparent",
        AGREED: "#8a8a8a70",
        MISSED: "#2b8cff",
        ADDED: "#ff9d1e",
    }
)
"""Grey, blue and orange, distinguishable with colour blindness."""

DIFFERENCE_FEATURES = {"index": [0, AGREED, MISSED, ADDED], "is": ["", "agreed", "missed", "added"]}
"""Features of a difference layer, shown in the status bar."""


def label_colours(regions: Sequence[Region]) -> DirectLabelColormap:
    """Return a colormap in which each label value has the colour of its innermost region."""
    colours: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    for region in sorted(regions, key=lambda r: -len(r.labels)):
        colours.update(dict.fromkeys(region.labels, region.colour))
    return DirectLabelColormap(color_dict=colours)


def label_features(regions: Sequence[Region]) -> dict[str, list[Any]]:
    """Return the features of a label map for the status bar: the regions of each label value."""
    values = sorted({label for region in regions for label in region.labels})
    inside_out = sorted(regions, key=lambda r: len(r.labels))
    names = [" in ".join(r.name for r in inside_out if value in r.labels) for value in values]
    return {"index": [0, *values], "region": ["background", *names]}


def colormap_of(modality: str) -> str:
    """Return the name of a modality's default colormap."""
    return next(iter(PET_COLOURS.values())) if modality == "PET" else "gray"


def set_contrast_limits(layer: Image, limits: tuple[float, float]) -> None:
    """Set contrast limits and extend their range if needed.

    The range is set first: of linked layers, each would clip the limits to its own range.
    """
    low, high = layer.contrast_limits_range
    layer.contrast_limits_range = (min(low, limits[0]), max(high, limits[1]))
    layer.contrast_limits = limits
