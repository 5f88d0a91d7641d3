"""Geometry of tiles: their positions in a volume, and the window that blends them."""

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
"""Standard deviation of the blending window as a fraction of the tile's edge."""


@dataclass(frozen=True)
class Tiling:
    """Tiles of one size that cover a volume.

    Parameters
    ----------
    shape : tuple of int
        Shape of the padded volume, (Z, Y, X), multiples of 16; no edge is shorter than a tile's.
    tile : tuple of int
        Edges of every tile, (Z, Y, X), multiples of 16.
    starts : tuple of tuple of int
        First voxel of every tile, multiples of 16: the strided convolutions of all tiles then
        sample the same voxels, and the result does not depend on the position of the tiles.
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
    """Cover a volume with as few evenly spread tiles as the overlap allows.

    Parameters
    ----------
    shape : tuple of int
        Shape of the volume, (Z, Y, X) in voxels.
    largest : tuple of int
        Largest tile; the tiles are smaller where the volume is.
    overlap : float
        Smallest fraction of a tile's edge that neighbours share, in [0, 1).
    """
    z, y, x = (max(edge, SMALLEST_TILE) for edge in shape)
    padded = round_up((z, y, x))
    z, y, x = (max(min(a, b), SMALLEST_TILE) for a, b in zip(padded, largest, strict=True))
    tile = round_up((z, y, x))
    starts = [_axis_starts(edge, size, overlap) for edge, size in zip(padded, tile, strict=True)]
    return Tiling(padded, tile, tuple(product(*starts)))  # type: ignore[arg-type]


def split_into_chunks(shape: Shape, max_voxels: int, overlap: int) -> Tiling:
    """Split a volume into large chunks of one size with the least computation in total.

    Parameters
    ----------
    shape : tuple of int
        Shape of the volume, (Z, Y, X) in voxels.
    max_voxels : int
        Largest number of voxels of a chunk; exceeded only where chunks cannot be smaller.
    overlap : int
        Smallest number of voxels that neighbours share along an axis, a multiple of 16.
    """
    z, y, x = (max(edge, SMALLEST_TILE) for edge in shape)
    padded = round_up((z, y, x))
    splits = list(product(*(_axis_splits(edge, overlap) for edge in padded)))
    fitting = [split for split in splits if _chunk_voxels(split) <= max_voxels]
    best = min(fitting, key=_total_voxels) if fitting else min(splits, key=_chunk_voxels)
    starts = [
        [STRIDE * round(i * (edge - size) / STRIDE / max(1, count - 1)) for i in range(count)]
        for edge, (count, size) in zip(padded, best, strict=True)
    ]
    tile = tuple(size for _, size in best)
    return Tiling(padded, tile, tuple(product(*starts)))  # type: ignore[arg-type]


_Split = tuple[tuple[int, int], ...]
"""Number of chunks and their edge, along each axis."""


def _axis_splits(edge: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Yield the splits of an edge, from one chunk to many, each shorter than the one before."""
    shortest = edge + STRIDE
    for count in range(1, edge // STRIDE + 1):
        exact = -(-(edge + (count - 1) * overlap) // count)
        size = max(SMALLEST_TILE, -(-exact // STRIDE) * STRIDE)
        if size < shortest:
            shortest = size
            yield count, size


def _chunk_voxels(split: _Split) -> int:
    return math.prod(size for _, size in split)


def _total_voxels(split: _Split) -> int:
    return math.prod(count * size for count, size in split)


def _axis_starts(edge: int, size: int, overlap: float) -> list[int]:
    free = (edge - size) // STRIDE
    step = max(1, int(size * (1 - overlap)) // STRIDE)
    count = -(-free // step) + 1
    return [STRIDE * round(i * free / max(1, count - 1)) for i in range(count)]


def blending_window(tile: Shape) -> np.ndarray:
    """Return Gaussian weights, (Z, Y, X) float32 in (0, 1], largest in the centre of a tile."""
    # Not scipy.signal.windows: importing it takes longer than segmenting a small case.
    z, y, x = (np.exp(-0.5 * (np.linspace(-0.5, 0.5, n) * (n - 1) / n / _SIGMA) ** 2) for n in tile)
    window = z[:, None, None] * y[:, None] * x
    return np.asarray(np.maximum(window, 1e-3 * window.max()), np.float32)
