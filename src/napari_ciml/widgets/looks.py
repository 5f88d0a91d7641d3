"""Colours, names and contrast limits of what is shown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.utils.colormaps import Colormap, DirectLabelColormap

from napari_ciml.cases.intensity import background_value
from napari_ciml.decomposition import Region
from napari_ciml.measures.agreement import ADDED, AGREED, MISSED

MAP_COLOURS = Colormap(
    [[0.05, 0.05, 0.4, 0.0], [0.1, 0.2, 0.7, 0.45], [0.4, 0.75, 0.95, 0.75], [1, 0.9, 0.2, 1]],
    name="complementary information",
)
"""Dark blue, light blue, yellow as in Fig. 12; what is zero shows the image beneath."""

CT_WINDOWS = {
    "soft tissue": (-160.0, 240.0),
    "brain": (0.0, 80.0),
    "lung": (-1350.0, 150.0),
    "bone": (-500.0, 1300.0),
}
"""In Hounsfield units: width and level 400/40, 80/40, 1500/-600, 1800/400."""

PET_WINDOWS = {"SUV 0 to 10": (0.0, 10.0), "SUV 0 to 5": (0.0, 5.0), "SUV 0 to 20": (0.0, 20.0)}
PET_COLOURS = {"inverted grey": "gray_r", "hot": "hot"}

DOUBT_COLOURS = Colormap(
    [[0.2, 0.05, 0.3, 0.0], [0.55, 0.1, 0.45, 0.55], [0.95, 0.45, 0.2, 0.8], [1, 0.95, 0.65, 1]],
    name="doubt",
)
"""Purple, orange, pale yellow, ever lighter; where nothing is in doubt the image shows."""

DIFFERENCE_COLOURS = DirectLabelColormap(
    color_dict={
        None: "transparent",
        0: "transparent",
        AGREED: "#8a8a8a70",
        MISSED: "#2b8cff",
        ADDED: "#ff9d1e",
    }
)
"""A veil of grey, blue and orange, which the colour-blind tell apart."""

DIFFERENCE_WORDS = {"index": [0, AGREED, MISSED, ADDED], "is": ["", "agreed", "missed", "added"]}
"""What the status bar says of a difference."""


def label_colours(regions: Sequence[Region]) -> DirectLabelColormap:
    """Return fixed colours: each label value that of the innermost region it belongs to."""
    colours: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    for region in sorted(regions, key=lambda r: -len(r.labels)):
        colours.update(dict.fromkeys(region.labels, region.colour))
    return DirectLabelColormap(color_dict=colours)


def label_features(regions: Sequence[Region]) -> dict[str, list[Any]]:
    """Return what the status bar says of each label value: the regions it belongs to."""
    values = sorted({label for region in regions for label in region.labels})
    inside_out = sorted(regions, key=lambda r: len(r.labels))
    names = [" in ".join(r.name for r in inside_out if value in r.labels) for value in values]
    return {"index": [0, *values], "region": ["background", *names]}


def windows_in(modality: str, unit: str) -> dict[str, tuple[float, float]]:
    """Return the named windows of a modality; they need a unit, so that MR has none."""
    known = {("CT", "HU"): CT_WINDOWS, ("PET", "SUV"): PET_WINDOWS}
    return known.get((modality, unit), {})


def colours_of(modality: str) -> str:
    """Return the name of the colormap a modality is shown in at first."""
    return next(iter(PET_COLOURS.values())) if modality == "PET" else "gray"


def display_range(image: np.ndarray, modality: str, unit: str) -> tuple[float, float]:
    """Return contrast limits: the usual window where values have a unit, else from the object."""
    named = windows_in(modality, unit)
    if named:
        return next(iter(named.values()))
    sample = image[::2, ::2, ::2]
    inside = sample[sample > sample.min()]
    if not inside.size:
        return float(sample.min()), float(sample.min()) + 1
    low, high = (float(value) for value in np.percentile(inside, (0.5, 99.7)))
    return min(low, high - 1e-6), high


def value_range(image: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest intensity."""
    return float(image.min()), float(image.max())


def object_box(image: np.ndarray) -> tuple[slice, slice, slice]:
    """Return roughly where the object lies in a volume, (Z, Y, X), to look at it closely."""
    value = background_value(image)
    sample = image[::2, ::2, ::2]
    mask = sample > sample.mean() if value is None else sample != value
    z, y, x = (_span(mask, axis) for axis in range(3))
    return z, y, x


def _span(mask: np.ndarray, axis: int) -> slice:
    others = tuple(other for other in range(3) if other != axis)
    filled = np.flatnonzero(mask.any(axis=others))
    return slice(2 * int(filled[0]), 2 * int(filled[-1]) + 2)
