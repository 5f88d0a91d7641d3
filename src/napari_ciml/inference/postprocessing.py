"""What is done to a network's probabilities: calibration, and specks and holes in the masks."""

from collections.abc import Mapping

import numpy as np

from napari_ciml.cases.components import component_sizes, select_components
from napari_ciml.network.checkpoint_info import PostprocessingSettings

_LEAST = 1e-6


def apply_temperature(
    probabilities: Mapping[str, np.ndarray], temperatures: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Divide logits by a region's temperature; what is above one half stays so.

    Parameters
    ----------
    probabilities : mapping of str to numpy.ndarray
        By region, (Z, Y, X) float32.
    temperatures : mapping of str to float
        By region; 1, or no entry, changes nothing.
    """
    return {
        name: values
        if temperatures.get(name, 1.0) == 1.0
        else _tempered(values, temperatures[name])
        for name, values in probabilities.items()
    }


def remove_small_and_fill_holes(
    masks: Mapping[str, np.ndarray], finish: PostprocessingSettings, voxel_ml: float
) -> dict[str, np.ndarray]:
    """Remove specks from masks and fill holes in them.

    Parameters
    ----------
    masks : mapping of str to numpy.ndarray
        By region, (Z, Y, X) bool.
    finish : Finish
        Which components are specks, which regions have no holes.
    voxel_ml : float
        Volume of a voxel in millilitres.

    Returns
    -------
    dict of str to numpy.ndarray
        By region, (Z, Y, X) bool.
    """
    result = {}
    for name, mask in masks.items():
        voxels = finish.min_component_ml.get(name, 0.0) / voxel_ml
        kept = _without_specks(mask, voxels, finish.min_component_fraction.get(name, 0.0))
        result[name] = _filled(kept) if name in finish.fill_holes else kept
    return result


def _tempered(values: np.ndarray, temperature: float) -> np.ndarray:
    if temperature == 1:
        return values
    result = values.astype(np.float32)
    for plane in np.atleast_2d(result):  # of a whole body at once it would take gigabytes
        some = plane > 0  # most of a volume is background, and stays 0
        inside = np.clip(plane[some], _LEAST, 1 - _LEAST)
        odds = (inside / (1 - inside)) ** np.float32(1 / temperature)
        plane[some] = odds / (1 + odds)
    return result


def _without_specks(mask: np.ndarray, voxels: float, fraction: float) -> np.ndarray:
    """Remove components, joined over faces, edges and corners, that are too small.

    Those of fewer voxels than given go, and those below a fraction of the largest one.
    """
    if (voxels <= 1 and fraction == 0) or not mask.any():
        return mask
    from scipy import ndimage

    parts, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = component_sizes(parts, count)
    return select_components(parts, sizes >= max(voxels, fraction * sizes[1:].max()))


def _filled(mask: np.ndarray) -> np.ndarray:
    if not mask.any():
        return mask
    from scipy import ndimage

    where = ndimage.find_objects(mask.astype(np.uint8))[0]
    filled = mask.copy()
    filled[where] = ndimage.binary_fill_holes(mask[where])
    return filled
