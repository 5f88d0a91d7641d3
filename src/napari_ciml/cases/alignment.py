"""Detect misaligned modalities, align them, and show the alignment as a checkerboard."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.registration import RegistrationImage, RegistrationSettings, register
from napari_ciml.cases.transform import AffineTransform
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor

_CHECK = RegistrationSettings(levels_mm=(8.0, 4.0), samples=20_000, iterations=80, centred=False)

_MISALIGNED_MM, _MISALIGNED_GAIN = 1.25, 0.05
"""A modality counts as misaligned if a quick registration moves its foreground by this distance on
average and increases mutual information by this fraction; co-registered cases stay below."""

_MIN_MOVE_MM = 0.25
"""Smaller displacements are not applied, for they would only interpolate."""

_NOT_CHECKED = ("PET", "CT")
"""Both come from one scanner, and share too little content for a quick check."""


@dataclass(frozen=True)
class Misalignment:
    """Estimated misalignment of a modality.

    Parameters
    ----------
    modality, reference : str
        The modality, and the one it should be aligned to.
    mm : float
        Mean displacement over the foreground.
    """

    modality: str
    reference: str
    mm: float

    def __str__(self) -> str:
        return (
            f"{self.modality} may be misregistered to {self.reference} (about {self.mm:.1f} mm); "
            "align it first."
        )


def detect_misalignment(
    images: Mapping[str, np.ndarray], grid: Grid, reference: str, monitor: ProgressMonitor
) -> tuple[Misalignment, ...]:
    """Detect modalities that are not aligned to the reference, by a quick coarse registration.

    Parameters
    ----------
    images : dict of str to numpy.ndarray
        By modality, (Z, Y, X) float32 on ``grid``.
    grid : Grid
        Grid of all images.
    reference : str
        Modality to which the others should be aligned.
    monitor : ProgressMonitor
        Notified at each modality.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    others = [name for name in images if name != reference and name not in _NOT_CHECKED]
    if reference in _NOT_CHECKED or not others:
        return ()
    finest = _CHECK.levels_mm[-1]
    fixed = RegistrationImage.of(images[reference], grid).shrunk(finest, _CHECK.rim_mm)
    points, misalignments = fixed.points(), []
    for name in others:
        moving = RegistrationImage.of(images[name], grid).shrunk(finest)
        result = register(fixed, moving, _CHECK, monitor, f"Checking the alignment of {name}")
        mean_mm = float(result.transform.displacements_mm(points).mean())
        if mean_mm >= _MISALIGNED_MM and result.mutual_information >= result.before * (
            1 + _MISALIGNED_GAIN
        ):
            misalignments.append(Misalignment(name, reference, mean_mm))
    return tuple(misalignments)


def register_modality(
    fixed: RegistrationImage,
    moving: RegistrationImage,
    settings: RegistrationSettings,
    monitor: ProgressMonitor,
    names: tuple[str, str],
) -> tuple[AffineTransform, str]:
    """Register a modality to the reference; return the transform and a notice.

    Parameters
    ----------
    fixed, moving : RegistrationImage
        Reference and modality, each on its own grid.
    settings : RegistrationSettings
        Settings of the registration.
    monitor : ProgressMonitor
        Notified at each optimisation.
    names : tuple of str
        Names of the reference and the modality.

    Raises
    ------
    InputError
        If the images have no mutual information.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    reference, name = names
    result = register(fixed, moving, settings, monitor, f"Aligning {name}")
    if not np.isfinite(result.transform.offset).all() or result.mutual_information <= 0:
        raise InputError(f"{name} could not be aligned to {reference}; leave one out.")
    points = fixed.points()
    mean_mm = float(result.transform.displacements_mm(points).mean())
    if result.mutual_information <= result.before or mean_mm < _MIN_MOVE_MM:
        return AffineTransform(), f"{name} is aligned to {reference} already; it was not moved."
    return result.transform, (
        f"{name} was aligned to {reference} ({settings.kind}: moved by {mean_mm:.1f} mm on "
        f"average, rotated by {result.transform.rotation_degrees:.1f} degrees)."
    )


def checkerboard(
    one: np.ndarray,
    other: np.ndarray,
    limits: tuple[tuple[float, float], tuple[float, float]],
    grid: Grid,
    square_mm: float = 20.0,
) -> np.ndarray:
    """Return a 3-D checkerboard of two volumes; edges continue across cubes if they are aligned.

    Parameters
    ----------
    one, other : numpy.ndarray
        (Z, Y, X) on ``grid``.
    limits : tuple of (float, float)
        Intensities of each that are shown black and white.
    grid : Grid
        Grid of both.
    square_mm : float
        Edge length of a cube.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) uint8.
    """
    z, y, x = (
        (np.arange(n) * mm // square_mm).astype(np.uint8)
        for n, mm in zip(grid.shape, grid.scale, strict=True)
    )
    second = ((z[:, None, None] + y[:, None] + x) % 2).astype(bool)
    return np.where(second, _grey(other, limits[1]), _grey(one, limits[0]))


def _grey(image: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    low, high = limits
    scaled = (image - np.float32(low)) * np.float32(255 / (high - low))
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)
