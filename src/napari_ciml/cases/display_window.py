"""Contrast limits, window presets, and the box of the object in an image."""

import numpy as np

from napari_ciml.cases.intensity import background_value

CT_WINDOWS = {
    "soft tissue": (-160.0, 240.0),
    "brain": (0.0, 80.0),
    "lung": (-1350.0, 150.0),
    "bone": (-500.0, 1300.0),
}
"""Limits in Hounsfield units; width/level are 400/40, 80/40, 1500/-600 and 1800/400."""

PET_WINDOWS = {"SUV 0 to 10": (0.0, 10.0), "SUV 0 to 5": (0.0, 5.0), "SUV 0 to 20": (0.0, 20.0)}


def window_presets(modality: str, unit: str) -> dict[str, tuple[float, float]]:
    """Return the window presets of a modality by name; MR has none, for it has no unit."""
    presets = {("CT", "HU"): CT_WINDOWS, ("PET", "SUV"): PET_WINDOWS}
    return presets.get((modality, unit), {})


def display_range(image: np.ndarray, modality: str, unit: str) -> tuple[float, float]:
    """Return contrast limits: the first window preset if there is one, else percentiles."""
    presets = window_presets(modality, unit)
    if presets:
        return next(iter(presets.values()))
    sample = image[::2, ::2, ::2]
    inside = sample[sample > sample.min()]
    if not inside.size:
        return float(sample.min()), float(sample.min()) + 1
    low, high = (float(value) for value in np.percentile(inside, (0.5, 99.7)))
    return min(low, high - 1e-6), high


def value_range(image: np.ndarray) -> tuple[float, float]:
    """Return the minimum and the maximum intensity."""
    return float(image.min()), float(image.max())


def object_bounding_box(image: np.ndarray) -> tuple[slice, slice, slice]:
    """Return the approximate bounding box of the object in a volume, (Z, Y, X)."""
    background = background_value(image)
    sample = image[::2, ::2, ::2]
    mask = sample > sample.mean() if background is None else sample != background
    z, y, x = (_span(mask, axis) for axis in range(3))
    return z, y, x


def _span(mask: np.ndarray, axis: int) -> slice:
    others = tuple(other for other in range(3) if other != axis)
    filled = np.flatnonzero(mask.any(axis=others))
    return slice(2 * int(filled[0]), 2 * int(filled[-1]) + 2)
