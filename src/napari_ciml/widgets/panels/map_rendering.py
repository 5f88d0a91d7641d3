"""Render a slice of a map over its modality as an RGB image; no Qt."""

from dataclasses import dataclass

import numpy as np
from napari.utils.colormaps import Colormap

from napari_ciml.cases.case import Case

_PIXELS = 112
"""Length of an image's longer edge."""


@dataclass(frozen=True)
class SliceSpec:
    """Axis and index of a slice of a case.

    Parameters
    ----------
    axis : int
        Axis of (z, y, x) that the slice is perpendicular to.
    index : int
        Index of the slice along this axis.
    """

    axis: int
    index: int

    def mesh(
        self, case: Case, box: tuple[slice, slice, slice]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the voxel indices along z, y and x of square pixels inside a box."""
        scale = case.grid.scale
        in_plane = [axis for axis in range(3) if axis != self.axis]
        edges = [(box[a].stop - box[a].start) * scale[a] for a in in_plane]
        pixel = max(edges) / _PIXELS
        indices = [np.array([self.index])] * 3
        for axis, edge in zip(in_plane, edges, strict=True):
            count = max(1, round(edge / pixel))
            indices[axis] = np.linspace(box[axis].start, box[axis].stop - 1, count)
        return indices[0], indices[1], indices[2]


def render_slice(
    image: np.ndarray,
    limits: tuple[float, float],
    values: np.ndarray,
    inside: np.ndarray,
    colours: Colormap,
) -> np.ndarray:
    """Blend a map over an image and draw the outline of a region.

    Parameters
    ----------
    image, values : numpy.ndarray
        (Y, X) float; the map in [0, 1].
    limits : tuple of float
        Contrast limits of the image.
    inside : numpy.ndarray
        Mask of the region, (Y, X) bool.
    colours : napari Colormap
        Colormap of the map.

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
    """Return the values of the nearest voxels at a mesh of indices."""
    z, y, x = (np.round(part).astype(int) for part in mesh)
    return array[np.ix_(z, y, x)]


def _edge(mask: np.ndarray) -> np.ndarray:
    """Return the boundary pixels of a mask."""
    padded = np.pad(mask, 1)
    core = padded[1:-1, 1:-1]
    around = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return core & ~around
