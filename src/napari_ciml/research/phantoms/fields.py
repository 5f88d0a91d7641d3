"""Smooth random fields, the stuff phantoms are made of. All volumes are (Z, Y, X) float32."""

import numpy as np
from scipy import ndimage

Shape = tuple[int, int, int]


def smooth_field(rng: np.random.Generator, shape: Shape, scale: float) -> np.ndarray:
    """Return a random field of mean 0 and deviation 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    shape : tuple of int
        (Z, Y, X).
    scale : float
        Distance in voxels over which it changes.
    """
    weights = [_weights(edge, scale) for edge in shape]
    knots = rng.standard_normal([w.shape[1] for w in weights]).astype(np.float32)
    # One matrix product per axis: far cheaper than interpolating every voxel by itself.
    field = np.einsum("zk,klm->zlm", weights[0], knots)
    field = np.einsum("yl,zlm->zym", weights[1], field)
    field = field @ weights[2].T
    return ((field - field.mean()) / (field.std() + 1e-6)).astype(np.float32)


def _weights(edge: int, scale: float) -> np.ndarray:
    """Return how much each knot counts in each voxel of one axis, (edge, knots)."""
    knots = np.arange(-1, int(np.ceil(edge / scale)) + 2)
    distance = np.arange(edge)[:, None] / scale - knots
    return np.exp(-0.5 * (distance / 0.55) ** 2).astype(np.float32)


def rough_field(rng: np.random.Generator, shape: Shape, scale: float) -> np.ndarray:
    """Return a random field of mean 0 and deviation about 1 with detail at three scales."""
    parts = [0.75 * smooth_field(rng, shape, scale), 0.5 * smooth_field(rng, shape, scale / 2)]
    parts.append(0.35 * smooth_field(rng, shape, max(scale / 4, 1.0)))
    return np.sum(parts, axis=0)


def blur(volume: np.ndarray, sigma: float | tuple[float, float, float]) -> np.ndarray:
    """Gaussian smoothing, sigma in voxels."""
    return ndimage.gaussian_filter(volume.astype(np.float32), sigma, truncate=3)


def grid_points(shape: Shape) -> np.ndarray:
    """Return every voxel's index, (3, Z, Y, X) float32."""
    return np.indices(shape, dtype=np.float32)
