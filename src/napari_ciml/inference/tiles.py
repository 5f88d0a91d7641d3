"""Tiles: where they lie, and how their borders blend."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from napari_ciml.network.settings import STRIDE

Shape = tuple[int, int, int]

SMALLEST_TILE = 2 * STRIDE
"""Shortest edge of a tile: instance norm needs more than one voxel at the deepest level."""

_SIGMA = 0.125
"""Standard deviation of the blending window, as a share of the tile's edge."""


@dataclass(frozen=True)
class Tiling:
    """Tiles that cover a volume.

    Parameters
    ----------
    shape : tuple of int
        Of the padded volume, (Z, Y, X), multiples of 16: no edge shorter than a tile's.
    tile : tuple of int
        Edges of every tile, multiples of 16.
    starts : tuple of tuple of int
        First voxel of every tile, multiples of 16: the strided convolutions of all tiles then
        look at the same voxels, and the answer does not depend on where the tiles lie.
    """

    shape: Shape
    tile: Shape
    starts: tuple[Shape, ...]

    def __len__(self) -> int:
        return len(self.starts)

    def slices(self) -> Iterator[tuple[slice, slice, slice]]:
        """Yield every tile as slices, (Z, Y, X)."""
        for start in self.starts:
            z, y, x = (slice(a, a + n) for a, n in zip(start, self.tile, strict=True))
            yield z, y, x


def round_up(shape: Shape) -> Shape:
    """Round every edge up to a multiple of 16."""
    z, y, x = (-(-edge // STRIDE) * STRIDE for edge in shape)
    return z, y, x


def make_tiling(shape: Shape, largest: Shape, overlap: float) -> Tiling:
    """Cover a volume with as few tiles as the overlap allows, evenly spread.

    Parameters
    ----------
    shape : tuple of int
        Of the volume, (Z, Y, X) in voxels.
    largest : tuple of int
        Largest tile; the tiles are smaller where the volume is.
    overlap : float
        Least share of a tile's edge that neighbours have in common, in [0, 1).
    """
    z, y, x = (max(edge, SMALLEST_TILE) for edge in shape)
    padded = round_up((z, y, x))
    z, y, x = (max(min(a, b), SMALLEST_TILE) for a, b in zip(padded, largest, strict=True))
    tile = round_up((z, y, x))
    starts = [_axis_starts(edge, size, overlap) for edge, size in zip(padded, tile, strict=True)]
    return Tiling(padded, tile, tuple(product(*starts)))  # type: ignore[arg-type]


def split_into_chunks(shape: Shape, most: int, overlap: int) -> Tiling:
    """Cut a volume into large pieces of one size, so that as little as can be is computed twice.

    Parameters
    ----------
    shape : tuple of int
        Of the volume, (Z, Y, X) in voxels.
    most : int
        Voxels that a piece may have; more only where it cannot be cut any further.
    overlap : int
        Voxels that neighbours have in common at least, a multiple of 16.
    """
    z, y, x = (max(edge, SMALLEST_TILE) for edge in shape)
    padded = round_up((z, y, x))
    cuts = list(product(*(_cuts(edge, overlap) for edge in padded)))
    fitting = [cut for cut in cuts if _size(cut) <= most]
    best = min(fitting, key=_computed) if fitting else min(cuts, key=_size)
    starts = [
        [STRIDE * round(i * (edge - size) / STRIDE / max(1, count - 1)) for i in range(count)]
        for edge, (count, size) in zip(padded, best, strict=True)
    ]
    tile = tuple(size for _, size in best)
    return Tiling(padded, tile, tuple(product(*starts)))  # type: ignore[arg-type]


_Cut = tuple[tuple[int, int], ...]
"""Along each axis, how many pieces and their edge."""


def _cuts(edge: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield the ways to cut an edge, from one piece to many, each shorter than the one before."""
    shortest = edge + STRIDE
    for count in range(1, edge // STRIDE + 1):
        least = -(-(edge + (count - 1) * overlap) // count)
        size = max(SMALLEST_TILE, -(-least // STRIDE) * STRIDE)
        if size < shortest:
            shortest = size
            yield count, size


def _size(cut: _Cut) -> int:
    return math.prod(size for _, size in cut)


def _computed(cut: _Cut) -> int:
    return math.prod(count * size for count, size in cut)


def _axis_starts(edge: int, size: int, overlap: float) -> list[int]:
    free = (edge - size) // STRIDE
    step = max(1, int(size * (1 - overlap)) // STRIDE)
    count = -(-free // step) + 1
    return [STRIDE * round(i * free / max(1, count - 1)) for i in range(count)]


def blending_window(tile: Shape) -> np.ndarray:
    """Return Gaussian weights, (Z, Y, X) float32 in (0, 1], largest in the middle of a tile."""
    # SciPy has this, in a package that takes longer to import than a small case to segment.
    z, y, x = (np.exp(-0.5 * (np.linspace(-0.5, 0.5, n) * (n - 1) / n / _SIGMA) ** 2) for n in tile)
    window = z[:, None, None] * y[:, None] * x
    return np.maximum(window, 1e-3 * window.max()).astype(np.float32)
