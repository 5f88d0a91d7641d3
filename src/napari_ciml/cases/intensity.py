"""Foreground of images, and normalisation of their intensities."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_ciml.cases.components import component_sizes, select_components

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class IntensityStatistics(BaseModel):
    """Intensity statistics of a data set, for normalisation as nnU-Net does for CT.

    Parameters
    ----------
    low, high : float
        Intensities are clipped to this range.
    mean, deviation : float
        Mean and standard deviation of the clipped intensities.
    unit : str
        Unit of all of these: ``HU`` or ``SUV``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    low: _Finite
    high: _Finite
    mean: _Finite
    deviation: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    unit: str

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low is not below high")
        return self


Normalisation = Literal["zscore", "ct", "suv", "dataset"] | IntensityStatistics
"""``zscore``: mean 0, deviation 1 in the foreground (MR). ``ct``: Hounsfield units clipped to
[-1000, 1000] and divided by 500. ``suv``: uptake values clipped to [0, 30] and divided by 5.
``dataset``: `IntensityStatistics` that a training is yet to compute from its cases."""

_CONSTANT_BORDER = 0.5
"""Fraction of the border voxels with equal value above which that value is the background."""

_MIN_SOLIDITY = 0.8
"""Fraction of background voxels with a background neighbour along the row above which the
background is one region, not the zeros among the quantised noise of air."""

_MIN_COMPONENT = 0.02
"""Size of the smallest component of the foreground, relative to the largest one."""

_MIN_BACKGROUND = 0.05
"""Fraction of the volume that a constant background fills at least."""


def background_value(image: np.ndarray) -> float | None:
    """Return the constant value around the object, or None if the background is not constant.

    Skull-stripped volumes have one, which need not be 0 (BraTS 2013 after z-scoring).
    """
    faces = np.concatenate(
        [np.take(image, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    )
    values, counts = np.unique(faces, return_counts=True)
    mode = int(counts.argmax())
    return float(values[mode]) if counts[mode] > _CONSTANT_BORDER * faces.size else None


def foreground(image: np.ndarray) -> np.ndarray:
    """Return the foreground of a volume, for any background value.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X), finite.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) bool, without small components and with holes filled.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    value = background_value(image)
    background = image == value if value is not None else np.zeros(image.shape, bool)
    stripped = np.count_nonzero(background) > _MIN_BACKGROUND * image.size and _is_solid(background)
    mask = ~background if stripped else image > threshold_otsu(image)
    components, count = ndimage.label(mask)
    if count > 1:
        sizes = component_sizes(components, count)
        mask = select_components(components, sizes >= _MIN_COMPONENT * sizes[1:].max())
    return _fill_holes(mask)


def requires_suv(normalisation: Normalisation) -> bool:
    """Whether a normalisation is valid for values in SUV only."""
    if isinstance(normalisation, IntensityStatistics):
        return normalisation.unit == "SUV"
    return normalisation == "suv"


def normalise(image: np.ndarray, mask: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    """Normalise intensities for a network; z-scored images are 0 outside the mask.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X).
    mask : numpy.ndarray
        Foreground, (Z, Y, X) bool.
    normalisation : {"zscore", "ct", "suv"} or IntensityStatistics
        See `Normalisation`.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) float32.
    """
    if normalisation == "dataset":
        raise ValueError("the intensity statistics of the data set have not been computed")
    if isinstance(normalisation, IntensityStatistics):
        clipped = np.clip(image, normalisation.low, normalisation.high)
        values = (clipped - normalisation.mean) / normalisation.deviation
        return np.asarray(values, np.float32)
    if normalisation == "ct":
        return np.asarray(np.clip(image, -1000, 1000) / 500, np.float32)
    if normalisation == "suv":
        return np.asarray(np.clip(image, 0, 30) / 5, np.float32)
    inside = image[mask]
    mean, deviation = float(inside.mean()), float(inside.std())
    return np.where(mask, (image - mean) / max(deviation, 1e-6), 0).astype(np.float32)


def _is_solid(background: np.ndarray) -> bool:
    """Whether background voxels mostly have background neighbours."""
    pairs = np.count_nonzero(background[..., 1:] & background[..., :-1])
    return bool(pairs > _MIN_SOLIDITY * np.count_nonzero(background[..., 1:]))


def _fill_holes(mask: np.ndarray) -> np.ndarray:
    import SimpleITK as sitk

    filled = sitk.BinaryFillhole(sitk.GetImageFromArray(mask.astype(np.uint8)))
    return sitk.GetArrayFromImage(filled).astype(bool)
