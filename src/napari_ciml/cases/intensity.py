"""Foreground, and intensities brought to a scale a network can use."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_ciml.cases.components import component_sizes, select_components

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class IntensityStatistics(BaseModel):
    """How a modality with units is normalised by a data set's statistics, as nnU-Net does for CT.

    Parameters
    ----------
    low, high : float
        What is below or above is clipped.
    mean, deviation : float
        Subtracted, then divided by.
    unit : str
        Of all of these: ``HU``, ``SUV``.
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
``dataset``: a `IntensityStatistics` that a training has still to measure on its cases."""

_CONSTANT_BORDER = 0.5
"""Share of the volume's faces with one and the same value from which on that is the background."""

_SOLID = 0.8
"""Share of the background's voxels whose neighbour along a row is background too, from which on
it is one surrounding, not the zeros among the rounded noise of air."""

_SMALLEST_PART = 0.02
"""Components smaller than this share of the largest one are not foreground."""


def background_value(image: np.ndarray) -> float | None:
    """Return the constant value around the object, or None if the surroundings are not constant.

    A skull-stripped volume has one, and it need not be 0 (BraTS 2013 after z-scoring).
    """
    faces = np.concatenate(
        [np.take(image, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    )
    values, counts = np.unique(faces, return_counts=True)
    most = int(counts.argmax())
    return float(values[most]) if counts[most] > _CONSTANT_BORDER * faces.size else None


def foreground(image: np.ndarray) -> np.ndarray:
    """Find the object in a volume, whatever the background value is.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X), finite.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) bool: without specks, holes filled.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    value = background_value(image)
    background = image == value if value is not None else np.zeros(image.shape, bool)
    stripped = np.count_nonzero(background) > 0.05 * image.size and _is_solid(background)
    mask = ~background if stripped else image > threshold_otsu(image)
    parts, count = ndimage.label(mask)
    if count > 1:
        sizes = component_sizes(parts, count)
        mask = select_components(parts, sizes >= _SMALLEST_PART * sizes[1:].max())
    return _filled(mask)


def requires_suv(how: Normalisation) -> bool:
    """Return whether a normalisation makes sense for uptake values in SUV alone."""
    return how.unit == "SUV" if isinstance(how, IntensityStatistics) else how == "suv"


def normalise(image: np.ndarray, mask: np.ndarray, how: Normalisation) -> np.ndarray:
    """Bring intensities to a network's scale; 0 outside the mask for MR.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X).
    mask : numpy.ndarray
        Foreground, (Z, Y, X) bool.
    how : {"zscore", "ct", "suv"} or Scale
        See `Normalisation`.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) float32.
    """
    if how == "dataset":
        raise ValueError("the scale of the data set has not been measured")
    if isinstance(how, IntensityStatistics):
        clipped = np.clip(image, how.low, how.high)
        return ((clipped - how.mean) / how.deviation).astype(np.float32)
    if how == "ct":
        return (np.clip(image, -1000, 1000) / 500).astype(np.float32)
    if how == "suv":
        return (np.clip(image, 0, 30) / 5).astype(np.float32)
    inside = image[mask]
    mean, deviation = float(inside.mean()), float(inside.std())
    return np.where(mask, (image - mean) / max(deviation, 1e-6), 0).astype(np.float32)


def _is_solid(background: np.ndarray) -> bool:
    together = np.count_nonzero(background[..., 1:] & background[..., :-1])
    return bool(together > _SOLID * np.count_nonzero(background[..., 1:]))


def _filled(mask: np.ndarray) -> np.ndarray:
    import SimpleITK as sitk

    filled = sitk.BinaryFillhole(sitk.GetImageFromArray(mask.astype(np.uint8)))
    return sitk.GetArrayFromImage(filled).astype(bool)
