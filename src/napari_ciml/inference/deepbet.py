"""The brain by a network that has learnt to find it: deepbet's, whose weights come in its wheel."""

from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from napari_ciml.errors import InputError

_SURE = 0.5
"""Probability from which on a voxel is brain."""


def has_deepbet() -> bool:
    """Whether the extra ``brain`` is installed."""
    return find_spec("deepbet") is not None


def deepbet_brain_mask(image: np.ndarray, _: tuple[float, float, float]) -> np.ndarray:
    """Find the brain in an MR image of a head, on the CPU (Fisch et al., deepbet, 2024).

    It has learnt from T1-weighted images of healthy adults; it looks at the whole volume at two
    resolutions of its own, whatever the voxel size.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X), finite, in the orientation closest to LPS.
    _ : tuple of float
        Voxel size, which it does not need.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) bool.

    Raises
    ------
    InputError
        If it is not installed, or finds nothing.
    """
    network = _network()
    # (Z, Y, X) in LPS is (X, Y, Z) in RAS from the back, with two axes turned round.
    turned = np.ascontiguousarray(image.astype(np.float32).T[::-1, ::-1])
    try:
        found = network.postprocess(network.run_model(turned) > _SURE)
    except (AssertionError, ValueError) as error:
        raise InputError(
            "The network for brains found none; use the mask without it, or remove skull and "
            "scalp with another program."
        ) from error
    return np.ascontiguousarray(np.asarray(found, bool)[::-1, ::-1].T)


@lru_cache(maxsize=1)
def _network() -> Any:
    try:
        from deepbet import BrainExtraction
    except ImportError as error:
        raise InputError(
            "The network for brains is deepbet's, which is not installed: "
            'pip install "napari-ciml[brain]".'
        ) from error
    return BrainExtraction(no_gpu=True)
