"""Temperature scaling of probabilities; small components and holes of masks."""

from collections.abc import Mapping

import numpy as np

from napari_ciml.cases.components import component_sizes, select_components
from napari_ciml.network.checkpoint_info import PostprocessingSettings

_EPSILON = 1e-6


def apply_temperature(
    probabilities: Mapping[str, np.ndarray], temperatures: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Calibrate by temperature scaling: divide logits by a region's temperature.

    Probabilities above one half stay above it.

    Parameters
    ----------
    probabilities : mapping of str to numpy.ndarray
        By region, (Z, Y, X) float32.
    temperatures : mapping of str to float
        By region; a region without one is not changed.
    """
    return {
        name: _scale_logits(values, temperatures.get(name, 1.0))
        for name, values in probabilities.items()
    }


def remove_small_and_fill_holes(
    masks: Mapping[str, np.ndarray], settings: PostprocessingSettings, voxel_ml: float
) -> dict[str, np.ndarray]:
    """Remove small components of masks and fill holes.

    Parameters
    ----------
    masks : mapping of str to numpy.ndarray
        By region, (Z, Y, X) bool.
    settings : PostprocessingSettings
        Smallest component by region, and regions in which holes are filled.
    voxel_ml : float
        Volume of a voxel in millilitres.

    Returns
    -------
    dict of str to numpy.ndarray
        By region, (Z, Y, X) bool.
    """
    result = {}
    for name, mask in masks.items():
        voxels = settings.min_component_ml.get(name, 0.0) / voxel_ml
        cleaned = _remove_small(mask, voxels, settings.min_component_fraction.get(name, 0.0))
        result[name] = _fill_holes(cleaned) if name in settings.fill_holes else cleaned
    return result


def _scale_logits(values: np.ndarray, temperature: float) -> np.ndarray:
    if temperature == 1:
        return values
    result = values.astype(np.float32)
    for plane in np.atleast_2d(result):  # by plane: a whole body at once would take gigabytes
        positive = plane > 0  # most of a volume is background, and stays 0
        clipped = np.clip(plane[positive], _EPSILON, 1 - _EPSILON)
        odds = (clipped / (1 - clipped)) ** np.float32(1 / temperature)
        plane[positive] = odds / (1 + odds)
    return result


def _remove_small(mask: np.ndarray, voxels: float, fraction: float) -> np.ndarray:
    """Remove 26-connected components that are too small.

    Parameters
    ----------
    mask : numpy.ndarray
        (Z, Y, X) bool.
    voxels : float
        Smallest number of voxels of a component.
    fraction : float
        Smallest size of a component as a fraction of the largest one.
    """
    if (voxels <= 1 and fraction == 0) or not mask.any():
        return mask
    from scipy import ndimage

    components, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = component_sizes(components, count)
    return select_components(components, sizes >= max(voxels, fraction * sizes[1:].max()))


def _fill_holes(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        return mask
    from scipy import ndimage

    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    filled = mask.copy()
    filled[box] = ndimage.binary_fill_holes(mask[box])
    return filled
