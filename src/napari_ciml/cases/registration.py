"""Register volumes by maximising Mattes' mutual information, coarse to fine.

The same volumes give the same transform, regardless of what else runs.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_ciml.cases.geometry import Grid, bounding_box_grid, resample
from napari_ciml.cases.intensity import background_value, foreground
from napari_ciml.cases.transform import AffineTransform
from napari_ciml.progress import ProgressMonitor

if TYPE_CHECKING:
    import SimpleITK as sitk

Kind = Literal["rigid", "affine"]

_FIRST_STEP_MM, _LAST_STEP_MM = 1.0, 1e-3
"""Initial step of the optimiser, and the step at which it stops."""

_POINTS = 1000
"""Approximate number of points at which displacements are measured."""

_ORTHOGONALITY_TOLERANCE = 1e-6


@dataclass(frozen=True)
class RegistrationSettings:
    """Settings of a registration.

    Parameters
    ----------
    kind : {"rigid", "affine"}
        Type of the transform; an affine one starts from the result of a rigid registration.
    levels_mm : tuple of float
        Voxel size of each resolution level, coarse to fine.
    samples : int
        Maximum number of voxels sampled per level.
    bins : int
        Number of bins of the joint histogram.
    iterations : int
        Maximum number of optimiser steps per level.
    rim_mm : float
        Width of the margin around the foreground of the fixed volume that is sampled, too.
    seed : int
        Seed of the sampling.
    centred : bool
        Start also from aligned centres of the foregrounds, not only from the stored positions.
    """

    kind: Kind = "rigid"
    levels_mm: tuple[float, ...] = (8.0, 4.0, 2.0)
    samples: int = 60_000
    bins: int = 40
    iterations: int = 120
    rim_mm: float = 8.0
    seed: int = 7
    centred: bool = True


@dataclass(frozen=True)
class RegistrationResult:
    """Result of a registration.

    Parameters
    ----------
    transform : AffineTransform
        Maps a point of the fixed volume to the point of the moving one.
    mutual_information : float
        Mutual information on the finest level, in nats.
    before : float
        Mutual information without a transform; 0 if the volumes do not overlap.
    """

    transform: AffineTransform
    mutual_information: float
    before: float


@dataclass(frozen=True)
class RegistrationImage:
    """A volume and its foreground.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X) float32.
    grid : Grid
        Grid of the image.
    mask : numpy.ndarray
        Foreground, (Z, Y, X) bool.
    """

    image: np.ndarray
    grid: Grid
    mask: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, grid: Grid) -> "RegistrationImage":
        """Return an image with its foreground, which is computed."""
        return cls(image, grid, foreground(image))

    def shrunk(self, mm: float, margin_mm: float | None = None) -> "RegistrationImage":
        """Resample to isotropic voxels of ``mm``; with a margin, crop to the foreground."""
        mask = self.mask if margin_mm is not None else np.ones(self.mask.shape, bool)
        grid = bounding_box_grid(mask, self.grid, (mm, mm, mm), margin_mm=margin_mm or 0.0)
        background = background_value(self.image)
        fill = float(self.image.min()) if background is None else background
        resampled_mask = resample(self.mask.astype(np.float32), self.grid, grid) > 0.5
        image = resample(self.image, self.grid, grid, fill=fill)
        return RegistrationImage(image, grid, resampled_mask)

    def centre(self) -> np.ndarray:
        """Return the centre of the foreground, (x, y, z) in mm."""
        index = np.argwhere(self.mask).mean(axis=0)
        return self.grid.world(tuple(index[::-1]))

    def points(self) -> np.ndarray:
        """Return about a thousand evenly spread points of the foreground, (N, 3) in mm."""
        indices = np.argwhere(self.mask)
        sample = indices[:: max(1, len(indices) // _POINTS)]
        return np.array([self.grid.world(tuple(index[::-1])) for index in sample])


def register(
    fixed: RegistrationImage,
    moving: RegistrationImage,
    settings: RegistrationSettings,
    monitor: ProgressMonitor,
    stage: str,
) -> RegistrationResult:
    """Register a moving volume to a fixed one.

    Parameters
    ----------
    fixed, moving : RegistrationImage
        Volumes of the same object.
    settings : RegistrationSettings
        Settings of the registration.
    monitor : ProgressMonitor
        Notified at each optimisation.
    stage : str
        Description of the stage for the monitor.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    finest = settings.levels_mm[-1]
    fine_fixed, fine_moving = fixed.shrunk(finest, settings.rim_mm), moving.shrunk(finest)
    centre = fine_fixed.centre()
    overlapping = fixed.grid.overlaps(moving.grid)
    starts = [AffineTransform()] if overlapping else []
    if settings.centred or not overlapping:
        starts.append(AffineTransform.of(np.eye(3), fine_moving.centre() - centre))
    optimiser = _Optimiser(settings, monitor, stage, centre, len(settings.levels_mm) + len(starts))
    for mm in settings.levels_mm:
        level = _Level.of(fine_fixed, fine_moving, mm, settings)
        results = [optimiser.run(level, start) for start in starts]
        starts = [max(results, key=lambda result: result[1])[0]]
    if settings.kind == "affine":
        starts = [optimiser.run(level, starts[0], affine=True)[0]]
    before = optimiser.mutual_information(level, AffineTransform()) if overlapping else 0.0
    return RegistrationResult(starts[0], optimiser.mutual_information(level, starts[0]), before)


@dataclass(frozen=True)
class _Level:
    """Both volumes at one resolution, with the mask and the fraction of voxels to sample."""

    fixed: "sitk.Image"
    moving: "sitk.Image"
    mask: "sitk.Image"
    fraction: float

    @classmethod
    def of(
        cls,
        fixed: RegistrationImage,
        moving: RegistrationImage,
        mm: float,
        settings: RegistrationSettings,
    ) -> "_Level":
        from scipy import ndimage

        fixed, moving = fixed.shrunk(mm, settings.rim_mm), moving.shrunk(mm)
        rim = max(1, round(settings.rim_mm / mm))
        mask = ndimage.binary_dilation(fixed.mask, iterations=rim)
        return cls(
            fixed.grid.to_sitk(_clip_outliers(fixed.image)),
            moving.grid.to_sitk(_clip_outliers(moving.image)),
            fixed.grid.to_sitk(mask.astype(np.uint8)),
            min(1.0, settings.samples / np.count_nonzero(mask)),
        )


def _clip_outliers(image: np.ndarray) -> np.ndarray:
    """Clip single bright voxels, which would stretch the histogram."""
    low, high = np.percentile(image, (0.1, 99.9))
    return np.asarray(np.clip(image, low, high))


@dataclass
class _Optimiser:
    """Runs optimisations from given starts and reports their number to a monitor."""

    settings: RegistrationSettings
    monitor: ProgressMonitor
    stage: str
    centre: np.ndarray
    total: int
    done: int = 0

    def run(
        self, level: _Level, start: AffineTransform, affine: bool = False
    ) -> tuple[AffineTransform, float]:
        """Return the local optimum near a start, and its mutual information."""
        import SimpleITK as sitk

        self.monitor.step(self.stage, self.done, self.total)
        self.done += 1
        method = self._method(level)
        transform = self._transform(start, affine)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=_FIRST_STEP_MM,
            minStep=_LAST_STEP_MM,
            numberOfIterations=self.settings.iterations,
            relaxationFactor=0.6,
            gradientMagnitudeTolerance=1e-8,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, inPlace=True)

        # A callback must not raise: the error would pass through the library.
        def step() -> None:
            if self.monitor.stop.is_set():
                method.StopRegistration()

        method.AddCommand(sitk.sitkIterationEvent, step)
        method.Execute(level.fixed, level.moving)
        self.monitor.raise_if_cancelled()
        # The order in which threads sum changes the last bits; the result must not depend on it.
        transform.SetParameters(np.round(transform.GetParameters(), 6).tolist())
        offset = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
        matrix = np.array(transform.GetMatrix())
        return AffineTransform.of(matrix, offset), -float(method.GetMetricValue())

    def mutual_information(self, level: _Level, transform: AffineTransform) -> float:
        """Return the mutual information under a transform."""
        method = self._method(level)
        method.SetInitialTransform(transform.to_sitk())
        return round(-float(method.MetricEvaluate(level.fixed, level.moving)), 6)

    def _method(self, level: _Level) -> "sitk.ImageRegistrationMethod":
        import SimpleITK as sitk

        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(self.settings.bins)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(level.fraction, self.settings.seed)
        method.SetMetricFixedMask(level.mask)
        method.SetInterpolator(sitk.sitkLinear)
        return method

    def _transform(
        self, start: AffineTransform, affine: bool
    ) -> "sitk.AffineTransform | sitk.Euler3DTransform":
        import SimpleITK as sitk

        transform = sitk.AffineTransform(3) if affine else sitk.Euler3DTransform()
        transform.SetCenter(self.centre)
        if isinstance(transform, sitk.AffineTransform):
            transform.SetMatrix(start.matrix)
        else:
            transform.SetMatrix(start.matrix, _ORTHOGONALITY_TOLERANCE)
        transform.SetTranslation(start.points(self.centre) - self.centre)
        return transform
