"""Connected components of large volumes, without copies of eight bytes a voxel."""

import numpy as np

_PLANES = 32
"""How many planes are looked at in one go."""


def component_sizes(parts: np.ndarray, count: int) -> np.ndarray:
    """Count the voxels of each component.

    Parameters
    ----------
    parts : numpy.ndarray
        (Z, Y, X) int, from `scipy.ndimage.label`: 0 is no component.
    count : int
        How many there are.

    Returns
    -------
    numpy.ndarray
        (count + 1,) int64; the first is of what is no component.
    """
    sizes = np.zeros(count + 1, np.int64)
    for first in range(0, len(parts), _PLANES):
        sizes += np.bincount(parts[first : first + _PLANES].ravel(), minlength=count + 1)
    return sizes


def select_components(parts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the mask of some components.

    Parameters
    ----------
    parts : numpy.ndarray
        As in `component_sizes`.
    wanted : numpy.ndarray
        (count + 1,) bool; the first counts for nothing.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) bool.
    """
    wanted = wanted.copy()
    wanted[0] = False
    mask = np.empty(parts.shape, bool)
    for first in range(0, len(parts), _PLANES):
        mask[first : first + _PLANES] = wanted[parts[first : first + _PLANES]]
    return mask
