"""Colours and names of what is shown."""

from typing import Any

from napari.utils.colormaps import Colormap, DirectLabelColormap

from napari_ciml.decomposition import Decomposition
from napari_ciml.export.report import MAP_STOPS

MAP_COLOURS = Colormap(MAP_STOPS, name="complementary information")

PET_COLOURS = {"inverted grey": "gray_r", "hot": "hot"}


def label_colours(whole: Decomposition) -> DirectLabelColormap:
    """Return fixed colours: each label value that of the innermost region it belongs to."""
    colours: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    for region in sorted(whole.regions, key=lambda r: -len(r.labels)):
        colours.update(dict.fromkeys(region.labels, region.colour))
    return DirectLabelColormap(color_dict=colours)


def label_features(whole: Decomposition) -> dict[str, list[Any]]:
    """Return what the status bar says of each label value: the regions it belongs to."""
    values = sorted({label for region in whole.regions for label in region.labels})
    inside_out = sorted(whole.regions, key=lambda r: len(r.labels))
    names = [" in ".join(r.name for r in inside_out if value in r.labels) for value in values]
    return {"index": [0, *values], "region": ["background", *names]}


def colours_of(modality: str) -> str:
    """Return the name of the colormap a modality is shown in at first."""
    return next(iter(PET_COLOURS.values())) if modality == "PET" else "gray"
