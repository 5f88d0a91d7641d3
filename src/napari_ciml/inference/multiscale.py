"""A second pass at larger voxels, whose answer is averaged in.

A segmentor sees more of the brain around a tile then, and with instance norm other statistics: its
errors are others than those of the first pass.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.tile_policy import OVERLAP
from napari_ciml.inference.tiles import Shape, make_tiling

_FACTOR = 1.25
"""How much larger its voxels are along each axis."""


def coarse_shape(shape: Shape) -> Shape:
    """Return how many larger voxels there are along each axis."""
    z, y, x = (max(1, round(edge / _FACTOR)) for edge in shape)
    return z, y, x


def coarse_workspace(workspace: Runtime, shape: Shape) -> Runtime:
    """Return tiles like those of a workspace, for a volume (Z, Y, X) at larger voxels."""
    tiling = make_tiling(coarse_shape(shape), workspace.tiling.tile, OVERLAP)
    return Runtime(workspace.device, tiling, workspace.engine)


def coarse_images(images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return images, each (Z, Y, X) float32, at larger voxels, linearly."""
    return {name: _resized(image, coarse_shape(image.shape)) for name, image in images.items()}


def average_scales(fine: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Return the mean of probabilities, (Z, Y, X) float32, and others at larger voxels."""
    return np.asarray((fine + _resized(coarse, fine.shape)) / np.float32(2))


def _resized(values: np.ndarray, shape: Shape) -> np.ndarray:
    given: Tensor = torch.from_numpy(np.ascontiguousarray(values, np.float32))[None, None]
    return np.asarray(interpolate(given, shape, mode="trilinear")[0, 0].numpy())
