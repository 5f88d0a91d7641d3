"""Registration: where a modality lies, found by its contents.

Mattes' mutual information of a moving volume with a fixed one is maximised, coarse to fine. The
same volumes give the same motion, whatever runs beside.
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
"""How far the optimiser moves voxels at first, and when it stops."""

_POINTS = 1000

_ORTHOGONAL = 1e-6


@dataclass(frozen=True)
class RegistrationSettings:
    """How a modality is registered.

    Parameters
    ----------
    kind : {"rigid", "affine"}
        Affine: rigid first, then with scales and shears.
    levels_mm : tuple of float
        Voxel size of each level, coarse to fine; volumes are smoothed to it.
    samples : int
        Most voxels that are looked at on a level.
    bins : int
        Of the joint histogram.
    iterations : int
        Most steps on a level.
    rim_mm : float
        How far around the fixed volume's foreground is looked at, too.
    seed : int
        Of the choice of voxels.
    centred : bool
        Begin from the foregrounds' centres on each other, too, not only from the files' positions.
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
class Registration:
    """What a registration found.

    Parameters
    ----------
    motion : Motion
        From a point of the fixed volume to the same point of the moving one.
    information : float
        Mutual information on the finest level, in nats.
    before : float
        The same without any motion; 0 if the volumes share no space.
    """

    motion: AffineTransform
    mutual_information: float
    before: float


@dataclass(frozen=True)
class RegistrationImage:
    """A volume with its foreground.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X) float32.
    grid : Grid
        Its own.
    mask : numpy.ndarray
        (Z, Y, X) bool.
    """

    image: np.ndarray
    grid: Grid
    mask: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, grid: Grid) -> "RegistrationImage":
        """Find the foreground."""
        return cls(image, grid, foreground(image))

    def shrunk(self, mm: float, margin_mm: float | None = None) -> "RegistrationImage":
        """Return it with voxels of ``mm``; with a margin, only that far around the foreground."""
        whole = self.mask if margin_mm is not None else np.ones(self.mask.shape, bool)
        grid = bounding_box_grid(whole, self.grid, (mm, mm, mm), margin_mm=margin_mm or 0.0)
        value = background_value(self.image)
        fill = float(self.image.min()) if value is None else value
        mask = resample(self.mask.astype(np.float32), self.grid, grid) > 0.5
        return RegistrationImage(resample(self.image, self.grid, grid, fill=fill), grid, mask)

    def centre(self) -> np.ndarray:
        """Return the centre of the foreground, (x, y, z) in mm."""
        found = np.argwhere(self.mask).mean(axis=0)
        return self.grid.world(tuple(found[::-1]))

    def points(self) -> np.ndarray:
        """Return some thousand points of the foreground, evenly spread, (N, 3) in mm."""
        found = np.argwhere(self.mask)
        some = found[:: max(1, len(found) // _POINTS)]
        return np.array([self.grid.world(tuple(index[::-1])) for index in some])


def register(
    fixed: RegistrationImage,
    moving: RegistrationImage,
    settings: RegistrationSettings,
    monitor: ProgressMonitor,
    stage: str,
) -> Registration:
    """Find the motion that brings points of one volume to the same points of another.

    Parameters
    ----------
    fixed, moving : Volume
        Of the same object.
    settings : RegistrationSettings
        How.
    monitor : Monitor
        Told at each step of the search, in the words of ``stage``.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    finest = settings.levels_mm[-1]
    still, other = fixed.shrunk(finest, settings.rim_mm), moving.shrunk(finest)
    centre = still.centre()
    together = fixed.grid.overlaps(moving.grid)
    starts = [AffineTransform()] if together else []
    if settings.centred or not together:
        starts.append(AffineTransform.of(np.eye(3), other.centre() - centre))
    search = _Search(settings, monitor, stage, centre, len(settings.levels_mm) + len(starts))
    for mm in settings.levels_mm:
        level = _Level.of(still, other, mm, settings)
        tried = [search.climb(level, start) for start in starts]
        starts = [max(tried, key=lambda found: found[1])[0]]
    if settings.kind == "affine":
        starts = [search.climb(level, starts[0], affine=True)[0]]
    before = search.value(level, AffineTransform()) if together else 0.0
    return Registration(starts[0], search.value(level, starts[0]), before)


@dataclass(frozen=True)
class _Level:
    """Both volumes at one voxel size."""

    fixed: "sitk.Image"
    moving: "sitk.Image"
    inside: "sitk.Image"
    share: float

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
        near = ndimage.binary_dilation(fixed.mask, iterations=rim)
        return cls(
            fixed.grid.to_sitk(_clipped(fixed.image)),
            moving.grid.to_sitk(_clipped(moving.image)),
            fixed.grid.to_sitk(near.astype(np.uint8)),
            min(1.0, settings.samples / np.count_nonzero(near)),
        )


def _clipped(image: np.ndarray) -> np.ndarray:
    """Cut single bright voxels off, which would stretch the histogram."""
    low, high = np.percentile(image, (0.1, 99.9))
    return np.clip(image, low, high)


@dataclass
class _Search:
    """Climbs from a start; counts its climbs for whoever waits."""

    settings: RegistrationSettings
    monitor: ProgressMonitor
    stage: str
    centre: np.ndarray
    climbs: int
    done: int = 0

    def climb(
        self, level: _Level, start: AffineTransform, affine: bool = False
    ) -> tuple[AffineTransform, float]:
        """Return the best motion near a start, and its mutual information."""
        import SimpleITK as sitk

        self.monitor.step(self.stage, self.done, self.climbs)
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

        # An error must not leave a callback: it would pass through the library.
        def step() -> None:
            if self.monitor.stop.is_set():
                method.StopRegistration()

        method.AddCommand(sitk.sitkIterationEvent, step)
        method.Execute(level.fixed, level.moving)
        self.monitor.raise_if_cancelled()
        # Sums of threads differ in their last bits; what is found must not.
        transform.SetParameters(np.round(transform.GetParameters(), 6).tolist())
        offset = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
        matrix = np.array(transform.GetMatrix())
        return AffineTransform.of(matrix, offset), -float(method.GetMetricValue())

    def value(self, level: _Level, motion: AffineTransform) -> float:
        """Return the mutual information under a motion."""
        method = self._method(level)
        method.SetInitialTransform(motion.to_sitk())
        return round(-float(method.MetricEvaluate(level.fixed, level.moving)), 6)

    def _method(self, level: _Level) -> "sitk.ImageRegistrationMethod":
        import SimpleITK as sitk

        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(self.settings.bins)
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(level.share, self.settings.seed)
        method.SetMetricFixedMask(level.inside)
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
            transform.SetMatrix(start.matrix, _ORTHOGONAL)
        transform.SetTranslation(start.points(self.centre) - self.centre)
        return transform
