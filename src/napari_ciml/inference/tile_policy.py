"""Which tiles suit a checkpoint and a device.

Batch norm at inference is a fixed affine map, so a piece may be of any size: as large as memory
allows, and neighbours share no more than a border needs. Instance norm takes its statistics from
the tile, so tiles are those of the training, and overlap by one half.
"""

import math

import psutil
import torch

from napari_ciml.inference.device import half_precision
from napari_ciml.inference.tiles import (
    SMALLEST_TILE,
    Shape,
    Tiling,
    make_tiling,
    round_up,
    split_into_chunks,
)
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.network.receptive_field import receptive_field_radius
from napari_ciml.network.settings import STRIDE

SEAM = 48
"""Voxels that neighbouring pieces share. A logit looks 77 voxels far, but sees little of what is
far: docs/explanation/performance.md has the error at a seam."""

_LARGEST = 160 * 192 * 160
"""Voxels, a whole brain at 1 mm: pieces that take longer would hear a cancel too late."""

OVERLAP = 0.5
"""Share of its edge that a tile has in common with the next: instance norm, or larger voxels."""

_VALUES = 24
"""Values that a voxel needs at once for each base filter, measured and rounded up: 18 with PyTorch
and with OpenVINO."""

_SHARE = 0.7
"""Of the memory that is free."""


def choose_tiling(
    info: CheckpointInfo, shape: Shape, device: torch.device, overlap: float | None = None
) -> Tiling:
    """Return the tiles to begin with.

    Parameters
    ----------
    info : CheckpointInfo
        Says norm, width and patch.
    shape : tuple of int
        Of the volume, (Z, Y, X).
    device : torch.device
        Whose memory they have to fit.
    overlap : float, optional
        As in `SegmentSettings`.
    """
    if overlap is not None:
        return make_tiling(shape, info.tile, overlap)
    if info.network.norm == "batch":
        most = min(_LARGEST, _voxels_that_fit(info.network.base_filters, device))
        return split_into_chunks(shape, most, _overlap(info))
    return make_tiling(shape, info.tile, OVERLAP)


def shrink_tiling(
    info: CheckpointInfo, shape: Shape, full: Tiling, overlap: float | None = None
) -> Tiling | None:
    """Return smaller tiles than those that filled the memory; None if there are none."""
    if info.network.norm == "batch" and overlap is None:
        pieces = split_into_chunks(shape, math.prod(full.tile) // 2, _overlap(info))
        return pieces if math.prod(pieces.tile) < math.prod(full.tile) else None
    longest = max(full.tile)
    if longest <= SMALLEST_TILE:
        return None
    z, y, x = (max(SMALLEST_TILE, edge // 2) if edge == longest else edge for edge in full.tile)
    return make_tiling(shape, round_up((z, y, x)), OVERLAP if overlap is None else overlap)


def _overlap(info: CheckpointInfo) -> int:
    """Return what neighbours share: no more than what makes the seam exact."""
    exact = -(-2 * receptive_field_radius(info.network) // STRIDE) * STRIDE
    return min(SEAM, exact)


def _voxels_that_fit(base_filters: int, device: torch.device) -> int:
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = psutil.virtual_memory().available
    size = 4 if half_precision(device) is None else 2
    return int(_SHARE * free / (_VALUES * base_filters * size))
