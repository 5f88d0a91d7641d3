"""Second pass at larger voxels, averaged with the first.

A tile then covers more tissue, and instance norm has other statistics, so the errors of the two
passes differ.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn.functional import interpolate

from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.tile_policy import OVERLAP
from napari_ciml.inference.tiles import Shape, make_tiling

_FACTOR = 1.25
"""Voxel size of the second pass relative to the first, along each axis."""


def coarse_shape(shape: Shape) -> Shape:
    """Return the shape (Z, Y, X) of a volume at larger voxels."""
    z, y, x = (max(1, round(edge / _FACTOR)) for edge in shape)
    return z, y, x


def coarse_runtime(runtime: Runtime, shape: Shape) -> Runtime:
    """Return a runtime with tiles of the same size for a volume (Z, Y, X) at larger voxels."""
    tiling = make_tiling(coarse_shape(shape), runtime.tiling.tile, OVERLAP)
    return Runtime(runtime.device, tiling, runtime.engine)


def coarse_images(images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Resample images, each (Z, Y, X) float32, to larger voxels by linear interpolation."""
    return {name: _resize(image, coarse_shape(image.shape)) for name, image in images.items()}


def average_scales(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Return the mean of the probabilities of both passes on the grid of the first.

    Parameters
    ----------
    fine, coarse : numpy.ndarray
        (Z, Y, X) float32, at the voxels of the first and of the second pass.
    """
    return np.asarray((fine + _resize(coarse, fine.shape)) / np.float32(2))


def _resize(values: np.ndarray, shape: Shape) -> np.ndarray:
    volume = torch.from_numpy(np.ascontiguousarray(values, np.float32))[None, None]
    return np.asarray(interpolate(volume, shape, mode="trilinear")[0, 0].numpy())
