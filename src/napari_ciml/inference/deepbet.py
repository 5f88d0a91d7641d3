"""Brain extraction by the network of the deepbet package, whose wheel includes its weights."""

from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from napari_ciml.errors import InputError

_THRESHOLD = 0.5
"""Probability from which a voxel belongs to the brain."""


def has_deepbet() -> bool:
    """Whether the extra ``brain`` is installed."""
    return find_spec("deepbet") is not None


def deepbet_brain_mask(image: np.ndarray, _spacing: tuple[float, float, float]) -> np.ndarray:
    """Return the brain mask of an MR image of a head, computed on the CPU (Fisch et al., 2024).

    The network was trained on T1-weighted images of healthy adults. It resamples the volume to two
    resolutions of its own, whatever the voxel size.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X), finite, in the orientation closest to LPS.
    _spacing : tuple of float
        Voxel size; not used.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) bool.

    Raises
    ------
    InputError
        If deepbet is not installed, or finds no brain.
    """
    network = _network()
    # deepbet expects (X, Y, Z) in RAS: (Z, Y, X) in LPS transposed, with x and y reversed.
    ras = np.ascontiguousarray(image.astype(np.float32).T[::-1, ::-1])
    try:
        mask = network.postprocess(network.run_model(ras) > _THRESHOLD)
    except (AssertionError, ValueError) as error:
        raise InputError(
            "deepbet found no brain; use the mask without it, or strip the skull with another "
            "program."
        ) from error
    return np.ascontiguousarray(np.asarray(mask, bool)[::-1, ::-1].T)


@lru_cache(maxsize=1)
def _network() -> Any:
    try:
        from deepbet import BrainExtraction
    except ImportError as error:
        raise InputError(
            'deepbet, which extracts the brain, is not installed: pip install "napari-ciml[brain]".'
        ) from error
    return BrainExtraction(no_gpu=True)
