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


def make_pieces(shape: Shape, most: int, overlap: int) -> Tiling:
    """Cut a volume into few large pieces of one size, across its longest edges.

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
    counts, tile = [1, 1, 1], list(padded)
    while math.prod(tile) > most:
        cuts = {k: _shorter(padded[k], counts[k], tile[k], overlap) for k in range(3)}
        possible = {k: cut for k, cut in cuts.items() if cut is not None}
        if not possible:
            break
        axis = max(possible, key=tile.__getitem__)
        counts[axis], tile[axis] = possible[axis]
    starts = [
        [STRIDE * round(i * (edge - size) / STRIDE / max(1, count - 1)) for i in range(count)]
        for edge, size, count in zip(padded, tile, counts, strict=True)
    ]
    return Tiling(padded, tuple(tile), tuple(product(*starts)))  # type: ignore[arg-type]


def _shorter(edge: int, count: int, size: int, overlap: int) -> tuple[int, int] | None:
    """Return the next larger number of pieces of an edge that makes them shorter, and their edge.

    None if there is none.
    """
    for more in range(count + 1, edge // STRIDE + 1):
        least = -(-(edge + (more - 1) * overlap) // more)
        made = max(SMALLEST_TILE, -(-least // STRIDE) * STRIDE)
        if made < size:
            return more, made
    return None


def _axis_starts(edge: int, size: int, overlap: float) -> list[int]:
    free = (edge - size) // STRIDE
    step = max(1, int(size * (1 - overlap)) // STRIDE)
    count = -(-free // step) + 1
    return [STRIDE * round(i * free / max(1, count - 1)) for i in range(count)]


def blending_window(tile: Shape) -> np.ndarray:
    """Return Gaussian weights, (Z, Y, X) float32 in (0, 1], largest in the middle of a tile."""
    from scipy.signal.windows import gaussian

    z, y, x = (gaussian(edge, edge * _SIGMA) for edge in tile)
    window = z[:, None, None] * y[:, None] * x
    return np.maximum(window, 1e-3 * window.max()).astype(np.float32)
