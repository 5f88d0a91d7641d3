"""A slice of a map over the modality it belongs to, as a picture; no Qt."""

from dataclasses import dataclass

import numpy as np
from napari.utils.colormaps import Colormap

from napari_ciml.cases.case import Case

_PIXELS = 112
"""Of a picture's longer edge."""


@dataclass(frozen=True)
class SliceSpec:
    """A slice of a case.

    Parameters
    ----------
    axis : int
        Across which axis of (z, y, x).
    index : int
        Which voxel of it.
    """

    axis: int
    index: int

    def mesh(
        self, case: Case, box: tuple[slice, slice, slice]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return indices along z, y and x of the picture's pixels: square ones, inside a box."""
        scale = case.grid.scale
        inside = [axis for axis in range(3) if axis != self.axis]
        edges = [(box[a].stop - box[a].start) * scale[a] for a in inside]
        pixel = max(edges) / _PIXELS
        places = [np.array([self.index])] * 3
        for axis, edge in zip(inside, edges, strict=True):
            count = max(1, round(edge / pixel))
            places[axis] = np.linspace(box[axis].start, box[axis].stop - 1, count)
        return places[0], places[1], places[2]


def render_slice(
    image: np.ndarray,
    limits: tuple[float, float],
    values: np.ndarray,
    inside: np.ndarray,
    colours: Colormap,
) -> np.ndarray:
    """Return a map over an image, with the outline of a region.

    Parameters
    ----------
    image, values : numpy.ndarray
        (Y, X) float; the map in [0, 1].
    limits : tuple of float
        What is black and what is white in the image.
    inside : numpy.ndarray
        Where the region is, (Y, X) bool.
    colours : napari Colormap
        Of the map.

    Returns
    -------
    numpy.ndarray
        (Y, X, 3) uint8.
    """
    low, high = limits
    grey = np.clip((image - low) / max(high - low, 1e-12), 0, 1)[..., None].repeat(3, axis=-1)
    over = colours.map(values.ravel()).reshape(*values.shape, 4)
    mixed = grey * (1 - over[..., 3:]) + over[..., :3] * over[..., 3:]
    mixed[_edge(inside)] = 1
    return np.asarray(np.round(mixed * 255), np.uint8)


def sample_nearest(
    array: np.ndarray, mesh: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the nearest voxels of a volume at a mesh of indices."""
    z, y, x = (np.round(part).astype(int) for part in mesh)
    return array[np.ix_(z, y, x)]


def _edge(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask that have a neighbour outside of it."""
    padded = np.pad(mask, 1)
    core = padded[1:-1, 1:-1]
    around = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return core & ~around
