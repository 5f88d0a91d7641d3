"""Smooth random fields, from which phantoms are built. All volumes are (Z, Y, X) float32."""

import numpy as np
from scipy import ndimage

Shape = tuple[int, int, int]


def smooth_field(rng: np.random.Generator, shape: Shape, scale: float) -> np.ndarray:
    """Return a random field with mean 0 and standard deviation 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    shape : tuple of int
        Shape of the field, (Z, Y, X).
    scale : float
        Correlation length in voxels.
    """
    weights = [_weights(edge, scale) for edge in shape]
    knots = rng.standard_normal([w.shape[1] for w in weights]).astype(np.float32)
    # One matrix product per axis is much cheaper than interpolating every voxel.
    field = np.einsum("zk,klm->zlm", weights[0], knots)
    field = np.einsum("yl,zlm->zym", weights[1], field)
    field = field @ weights[2].T
    return ((field - field.mean()) / (field.std() + 1e-6)).astype(np.float32)


def _weights(edge: int, scale: float) -> np.ndarray:
    """Return the weight of each knot in each voxel along one axis, (edge, knots)."""
    knots = np.arange(-1, int(np.ceil(edge / scale)) + 2)
    distance = np.arange(edge)[:, None] / scale - knots
    return np.exp(-0.5 * (distance / 0.55) ** 2).astype(np.float32)


def rough_field(rng: np.random.Generator, shape: Shape, scale: float) -> np.ndarray:
    """Return a random field with mean 0, standard deviation about 1 and detail at three scales."""
    parts = [0.75 * smooth_field(rng, shape, scale), 0.5 * smooth_field(rng, shape, scale / 2)]
    parts.append(0.35 * smooth_field(rng, shape, max(scale / 4, 1.0)))
    return np.sum(parts, axis=0)


def blur(volume: np.ndarray, sigma: float | tuple[float, float, float]) -> np.ndarray:
    """Smooth with a Gaussian of ``sigma`` voxels."""
    return ndimage.gaussian_filter(volume.astype(np.float32), sigma, truncate=3)


def grid_points(shape: Shape) -> np.ndarray:
    """Return the index of every voxel, (3, Z, Y, X) float32."""
    return np.indices(shape, dtype=np.float32)
