"""Picture of phantoms: modalities and reference, in the slice with the largest lesion area."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_ciml.files import atomic_write
from napari_ciml.research.phantoms.phantom import Phantom

_WHITE_PERCENTILE = 99.5
"""Percentile of the voxels above 0 that is shown as white."""


def draw_phantoms(phantoms: Sequence[Phantom], path: Path) -> None:
    """Write a picture with one row per phantom.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from matplotlib.figure import Figure

    names = list(phantoms[0].images)
    size = (1.5 * (len(names) + 1), 1.6 * len(phantoms))
    figure = Figure(figsize=size, facecolor="black", layout="constrained")
    grid = figure.subplots(len(phantoms), len(names) + 1, squeeze=False)
    highest = max(int(phantom.labels.max()) for phantom in phantoms)
    for row, phantom in zip(grid, phantoms, strict=True):
        z = int(np.count_nonzero(phantom.labels, axis=(1, 2)).argmax())
        for axes, name in zip(row, names, strict=False):
            image = phantom.images[name]
            top = np.percentile(image[image > 0], _WHITE_PERCENTILE)
            axes.imshow(image[z], cmap="gray", vmin=min(0.0, float(image.min())), vmax=top)
            axes.set_title(name, color="white", fontsize=8)
        row[-1].imshow(phantom.labels[z], cmap="inferno", vmin=0, vmax=highest)
        row[-1].set_title("reference", color="white", fontsize=8)
        for axes in row:
            axes.set_axis_off()
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=80)
