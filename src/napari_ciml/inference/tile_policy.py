"""Choose tiles that suit a checkpoint and fit a device.

Batch norm at inference is a fixed affine map, so a chunk may have any size: as large as memory
allows, with an overlap just wide enough to hide the seam. Instance norm takes its statistics from
the tile, so tiles have the size of the training patches and overlap by one half.
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
"""Voxels that neighbouring chunks share. The receptive field reaches 77 voxels, but its outer part
has little effect: docs/explanation/performance.md has the error at a seam."""

_MAX_VOXELS = 160 * 192 * 160
"""A whole brain at 1 mm. Larger chunks would delay cancellation, which is checked between them."""

OVERLAP = 0.5
"""Fraction of a tile's edge that neighbours share with instance norm, or at larger voxels."""

_VALUES_PER_VOXEL = 24
"""Peak number of values by voxel and base filter, measured and rounded up: 18 with PyTorch and
with OpenVINO."""

_MEMORY_FRACTION = 0.7
"""Fraction of the free memory that is used."""


def choose_tiling(
    info: CheckpointInfo, shape: Shape, device: torch.device, overlap: float | None = None
) -> Tiling:
    """Return the tiles of a volume.

    Parameters
    ----------
    info : CheckpointInfo
        Gives norm, width and patch of the network.
    shape : tuple of int
        Shape of the volume, (Z, Y, X).
    device : torch.device
        Device whose memory the tiles have to fit.
    overlap : float, optional
        Overlap of tiles, see `RunOptions`.
    """
    if overlap is not None:
        return make_tiling(shape, info.tile, overlap)
    if info.network.norm == "batch":
        most = min(_MAX_VOXELS, _voxels_that_fit(info.network.base_filters, device))
        return split_into_chunks(shape, most, _seam(info))
    return make_tiling(shape, info.tile, OVERLAP)


def shrink_tiling(
    info: CheckpointInfo, shape: Shape, full: Tiling, overlap: float | None = None
) -> Tiling | None:
    """Return smaller tiles, or None if there are none.

    Parameters
    ----------
    info : CheckpointInfo
        Gives the norm of the network.
    shape : tuple of int
        Shape of the volume, (Z, Y, X).
    full : Tiling
        Tiles that did not fit in memory.
    overlap : float, optional
        Overlap of tiles, see `RunOptions`.
    """
    if info.network.norm == "batch" and overlap is None:
        chunks = split_into_chunks(shape, math.prod(full.tile) // 2, _seam(info))
        return chunks if math.prod(chunks.tile) < math.prod(full.tile) else None
    longest = max(full.tile)
    if longest <= SMALLEST_TILE:
        return None
    z, y, x = (max(SMALLEST_TILE, edge // 2) if edge == longest else edge for edge in full.tile)
    return make_tiling(shape, round_up((z, y, x)), OVERLAP if overlap is None else overlap)


def _seam(info: CheckpointInfo) -> int:
    """Return the overlap of chunks in voxels: no more than what makes the seam exact."""
    exact = -(-2 * receptive_field_radius(info.network) // STRIDE) * STRIDE
    return min(SEAM, exact)


def _voxels_that_fit(base_filters: int, device: torch.device) -> int:
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = psutil.virtual_memory().available
    bytes_per_value = 4 if half_precision(device) is None else 2
    bytes_per_voxel = _VALUES_PER_VOXEL * base_filters * bytes_per_value
    return int(_MEMORY_FRACTION * free / bytes_per_voxel)
