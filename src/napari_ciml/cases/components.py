"""Connected components of large volumes, without temporary arrays of 8 bytes per voxel."""

import numpy as np

_PLANES = 32
"""Number of planes that are processed at once."""


def component_sizes(components: np.ndarray, count: int) -> np.ndarray:
    """Count the voxels of each component.

    Parameters
    ----------
    components : numpy.ndarray
        Component labels from `scipy.ndimage.label`, (Z, Y, X) int; 0 is background.
    count : int
        Number of components.

    Returns
    -------
    numpy.ndarray
        (count + 1,) int64; the first is the size of the background.
    """
    sizes = np.zeros(count + 1, np.int64)
    for first in range(0, len(components), _PLANES):
        sizes += np.bincount(components[first : first + _PLANES].ravel(), minlength=count + 1)
    return sizes


def select_components(components: np.ndarray, selected: np.ndarray) -> np.ndarray:
    """Return the mask of selected components.

    Parameters
    ----------
    components : numpy.ndarray
        Component labels, as in `component_sizes`.
    selected : numpy.ndarray
        (count + 1,) bool by label; the first is ignored.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) bool.
    """
    selected = selected.copy()
    selected[0] = False
    mask = np.empty(components.shape, bool)
    for first in range(0, len(components), _PLANES):
        mask[first : first + _PLANES] = selected[components[first : first + _PLANES]]
    return mask
