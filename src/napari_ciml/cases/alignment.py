"""Whether modalities lie on each other, bringing them there, and what to judge it by."""

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
"""A modality looks misaligned if a quick registration moves its foreground by so much on average,
and mutual information gains this share by it: real co-registered cases stay below one of them."""

_WORTH_MM = 0.25
"""A modality that a registration moves by less is left as it is: moving it means interpolating."""

_NOT_CHECKED = ("PET", "CT")
"""One scanner made both, and little of what one shows is seen in the other."""


@dataclass(frozen=True)
class Misalignment:
    """How far a modality seems to lie from where it belongs.

    Parameters
    ----------
    modality, reference : str
        What, and on what it should lie.
    mm : float
        Mean over the foreground.
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
    """Look for modalities that do not lie on the reference, by a quick coarse registration.

    Parameters
    ----------
    images : dict of str to numpy.ndarray
        By modality, (Z, Y, X) float32 on ``grid``.
    grid : Grid
        Of all of them.
    reference : str
        One of them.
    monitor : Monitor
        Told at each modality.

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
    points, found = fixed.points(), []
    for name in others:
        moving = RegistrationImage.of(images[name], grid).shrunk(finest)
        result = register(fixed, moving, _CHECK, monitor, f"Checking the alignment of {name}")
        far = float(result.motion.displacements_mm(points).mean())
        if far >= _MISALIGNED_MM and result.mutual_information >= result.before * (
            1 + _MISALIGNED_GAIN
        ):
            found.append(Misalignment(name, reference, far))
    return tuple(found)


def register_modality(
    fixed: RegistrationImage,
    moving: RegistrationImage,
    settings: RegistrationSettings,
    monitor: ProgressMonitor,
    names: tuple[str, str],
) -> tuple[AffineTransform, str]:
    """Register a modality to the reference; return the motion, and what to say of it.

    Parameters
    ----------
    fixed, moving : Volume
        Reference and modality, each on its own grid.
    settings : RegistrationSettings
        How.
    monitor : Monitor
        Told at each step.
    names : tuple of str
        Of the reference and the modality.

    Raises
    ------
    InputError
        If nothing in them matches.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    reference, name = names
    result = register(fixed, moving, settings, monitor, f"Aligning {name}")
    if not np.isfinite(result.motion.offset).all() or result.mutual_information <= 0:
        raise InputError(f"{name} could not be aligned to {reference}; leave one out.")
    points = fixed.points()
    far = float(result.motion.displacements_mm(points).mean())
    if result.mutual_information <= result.before or far < _WORTH_MM:
        return AffineTransform(), f"{name} lies on {reference} already; it was not moved."
    said = f"{name} was moved onto {reference} ({settings.kind}: {far:.1f} mm on average, "
    return result.motion, said + f"turned by {result.motion.rotation_degrees:.1f} degrees)."


def checkerboard(
    one: np.ndarray,
    other: np.ndarray,
    limits: tuple[tuple[float, float], tuple[float, float]],
    grid: Grid,
    square_mm: float = 20.0,
) -> np.ndarray:
    """Return two volumes in turn, as a board of cubes: edges must go on across their borders.

    Parameters
    ----------
    one, other : numpy.ndarray
        (Z, Y, X) on ``grid``.
    limits : tuple of (float, float)
        Of the intensities of each: black and white.
    grid : Grid
        Of both.
    square_mm : float
        Edge of a cube.

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
