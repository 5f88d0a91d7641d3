"""Voxel grids in LPS world coordinates: resampling, cropping, orientation codes."""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Self

import numpy as np

from napari_ciml.cases.transform import AffineTransform

if TYPE_CHECKING:
    import SimpleITK as sitk

_ORIGIN_TOLERANCE = 1e-2
_SPACING_TOLERANCE = 1e-3
_DIRECTION_TOLERANCE = 1e-3
_EXACT_TOLERANCE = 1e-6
_SHIFT_TOLERANCE = 1e-3
"""Voxels by which the shift between grids may differ from an integer."""

_MARGIN_MM = 4.0
_DOWNSAMPLING_RATIO = 1.5
"""Ratio of spacings above which an axis is smoothed before it is sampled more coarsely."""

_REACH = 12.0
"""Standard deviations beyond which a smoothing kernel is 0 in single precision."""

_MIN_FILTER_SIZE = 4
"""Number of voxels along an axis that the smoothing filter needs."""


@dataclass(frozen=True)
class Grid:
    """A voxel grid in LPS mm; all fields in the order of SimpleITK (x, y, z).

    Parameters
    ----------
    size : tuple of int
        Number of voxels along each axis.
    spacing : tuple of float
        Voxel size in mm.
    origin : tuple of float
        Centre of the first voxel in mm.
    direction : tuple of float
        Direction cosines, 3 x 3 row-major; columns are the axes.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @classmethod
    def of(cls, image: "sitk.Image") -> Self:
        """Return the grid of a 3-D SimpleITK image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape, (Z, Y, X)."""
        x, y, z = self.size
        return z, y, x

    @property
    def scale(self) -> tuple[float, float, float]:
        """Voxel size, (Z, Y, X) in mm."""
        x, y, z = self.spacing
        return z, y, x

    @property
    def translate(self) -> tuple[float, float, float]:
        """Centre of the first voxel, (Z, Y, X) in mm."""
        x, y, z = self.origin
        return z, y, x

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return float(np.prod(self.spacing)) / 1000

    def describe(self) -> str:
        """Return size and voxel size, such as ``240 x 240 x 155, 1 x 1 x 1 mm``."""
        size = " x ".join(str(n) for n in self.size)
        spacing = " x ".join(f"{mm:.3g}" for mm in self.spacing)
        return f"{size}, {spacing} mm"

    def world(self, index: tuple[float, ...]) -> np.ndarray:
        """Return the point (x, y, z) in mm of a voxel index (x, y, z), which may be fractional."""
        axes = np.reshape(self.direction, (3, 3))
        return np.asarray(self.origin) + axes @ (np.asarray(index) * self.spacing)

    def index(self, point: np.ndarray) -> np.ndarray:
        """Return the fractional voxel index (x, y, z) of a point (x, y, z) in mm."""
        axes = np.reshape(self.direction, (3, 3))
        return np.linalg.solve(axes, point - np.asarray(self.origin)) / self.spacing

    def corners(self) -> np.ndarray:
        """Return the eight outer corners of the volume, (8, 3) in mm."""
        edges = [(-0.5, n - 0.5) for n in self.size]
        return np.array([self.world(corner) for corner in product(*edges)])

    def is_close(self, other: "Grid") -> bool:
        """Whether the voxels coincide within a hundredth of a voxel."""
        shift = self.index(np.asarray(other.origin))
        return (
            self.size == other.size
            and np.allclose(self.spacing, other.spacing, rtol=_SPACING_TOLERANCE, atol=0)
            and np.allclose(self.direction, other.direction, atol=_DIRECTION_TOLERANCE)
            and bool(np.abs(shift).max() < _ORIGIN_TOLERANCE)
        )

    def overlaps(self, other: "Grid") -> bool:
        """Whether the volumes may overlap: their bounding boxes meet along the axes of either."""
        return _boxes_meet(self, other) and _boxes_meet(other, self)

    def to_sitk(self, array: np.ndarray) -> "sitk.Image":
        """Return an array, (Z, Y, X), as a SimpleITK image on this grid."""
        import SimpleITK as sitk

        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image


def orientation(grid: Grid) -> str:
    """Return the three-letter code of the closest axis-aligned orientation, such as ``LPS``."""
    import SimpleITK as sitk

    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(grid.direction)
    return str(code)


def lps(grid: Grid) -> Grid:
    """Return the same voxels with axes permuted and flipped to the orientation closest to LPS."""
    axes = np.reshape(grid.direction, (3, 3))
    closest = np.reshape(_cosines(orientation(grid)), (3, 3))
    order = np.abs(closest).argmax(axis=1).tolist()  # own axis closest to x, y and z
    signs = closest[range(3), order]
    start = np.zeros(3)
    start[order] = np.where(signs < 0, np.asarray(grid.size)[order] - 1, 0)
    a, b, c = order
    x, y, z = grid.world((start[0], start[1], start[2])).tolist()
    return Grid(
        (grid.size[a], grid.size[b], grid.size[c]),
        (grid.spacing[a], grid.spacing[b], grid.spacing[c]),
        (x, y, z),
        tuple((axes[:, order] * signs).ravel().tolist()),
    )


def _cosines(code: str) -> tuple[float, ...]:
    import SimpleITK as sitk

    return tuple(sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(code))


def reorient(image: "sitk.Image", code: str) -> "sitk.Image":
    """Permute and flip axes to an orientation; nothing is interpolated."""
    import SimpleITK as sitk

    oriented: sitk.Image = sitk.DICOMOrient(image, code)
    return oriented


def resample(
    array: np.ndarray,
    source: Grid,
    target: Grid,
    *,
    fill: float = 0.0,
    labels: bool = False,
    transform: AffineTransform | None = None,
) -> np.ndarray:
    """Resample a volume to another grid.

    Parameters
    ----------
    array : numpy.ndarray
        (Z, Y, X) on ``source``.
    source, target : Grid
        Grid of the array, and grid of the result.
    fill : float
        Value outside of the source.
    labels : bool
        Interpolate by the nearest voxel; otherwise linearly, after smoothing along axes that are
        downsampled by a factor of more than 1.5.
    transform : AffineTransform, optional
        Maps a point of the target to the point of the source.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) on ``target``; float32, or the dtype of the array for labels.
    """
    import SimpleITK as sitk

    transform = transform or AffineTransform()
    if transform == AffineTransform() and source.is_close(target):
        return array if labels else array.astype(np.float32, copy=False)
    if transform == AffineTransform() and (shift := _shift(source, target)) is not None:
        return _paste(
            array if labels else array.astype(np.float32, copy=False), shift, target, fill
        )
    sigmas = (0.0, 0.0, 0.0) if labels else _smoothing_sigmas(source, target, transform)
    if any(sigmas):
        array, source = _crop_to_target(array, source, target, transform, sigmas)
    image = source.to_sitk(array if labels else array.astype(np.float32, copy=False))
    image = _smooth(image, sigmas)
    reference = sitk.Image(target.size, sitk.sitkUInt8)
    reference.SetSpacing(target.spacing)
    reference.SetOrigin(target.origin)
    reference.SetDirection(target.direction)
    method = sitk.sitkNearestNeighbor if labels else sitk.sitkLinear
    result = sitk.Resample(image, reference, transform.to_sitk(), method, fill)
    return sitk.GetArrayFromImage(result)


def _shift(source: Grid, target: Grid) -> tuple[int, int, int] | None:
    """Return the index (z, y, x) of the target's first voxel if the voxels of both coincide."""
    if not np.allclose(source.spacing, target.spacing, rtol=_EXACT_TOLERANCE, atol=0):
        return None
    if not np.allclose(source.direction, target.direction, atol=_EXACT_TOLERANCE):
        return None
    shift = source.index(np.asarray(target.origin))[::-1]
    z, y, x = np.rint(shift).astype(int).tolist()
    return (z, y, x) if np.abs(shift - (z, y, x)).max() < _SHIFT_TOLERANCE else None


def _paste(array: np.ndarray, shift: tuple[int, int, int], target: Grid, fill: float) -> np.ndarray:
    """Copy the overlap of two grids, which is ten times as fast as resampling."""
    result = np.full(target.shape, fill, array.dtype)
    begins = [max(0, first) for first in shift]
    ends = [
        min(size, first + count)
        for size, first, count in zip(array.shape, shift, target.shape, strict=True)
    ]
    if all(begin < end for begin, end in zip(begins, ends, strict=True)):
        in_source = tuple(slice(begin, end) for begin, end in zip(begins, ends, strict=True))
        in_target = tuple(
            slice(begin - first, end - first)
            for begin, end, first in zip(begins, ends, shift, strict=True)
        )
        result[in_target] = array[in_source]
    return result


def bounding_box_grid(
    mask: np.ndarray,
    grid: Grid,
    spacing: tuple[float, float, float],
    margin_mm: float = _MARGIN_MM,
) -> Grid:
    """Return a grid that covers the bounding box of a mask, with a margin, at a given spacing.

    Its outer corner is a corner of a voxel of the old grid: at the same spacing the voxels
    coincide, and at twice the spacing each new voxel covers exactly eight old ones.

    Parameters
    ----------
    mask : numpy.ndarray
        (Z, Y, X) bool on ``grid``, not empty.
    grid : Grid
        Grid of the mask.
    spacing : tuple of float
        Voxel size of the result, (Z, Y, X) in mm.
    margin_mm : float
        Margin around the mask in mm; the result does not extend beyond the old grid.
    """
    starts, sizes = [], []
    for axis, (old, new, edge) in enumerate(
        zip(grid.spacing, reversed(spacing), grid.size, strict=True)
    ):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != 2 - axis)))
        margin = int(np.ceil(margin_mm / old))
        first = max(int(filled[0]) - margin, 0)
        last = min(int(filled[-1]) + margin, edge - 1)
        starts.append(first - 0.5 + 0.5 * new / old)
        sizes.append(max(1, int(np.ceil((last - first + 1) * old / new - 1e-3))))
    x, y, z = grid.world((starts[0], starts[1], starts[2])).tolist()
    return Grid((sizes[0], sizes[1], sizes[2]), spacing[::-1], (x, y, z), grid.direction)


def _smoothing_sigmas(source: Grid, target: Grid, transform: AffineTransform) -> tuple[float, ...]:
    """Return the standard deviation in voxels of the smoothing along each source axis (x, y, z).

    Axes that are downsampled are smoothed. A factor of two with aligned voxel corners needs no
    smoothing: linear interpolation is then the mean of eight voxels.
    """
    target_axes = np.reshape(transform.matrix, (3, 3)) @ np.reshape(target.direction, (3, 3))
    cosines = np.abs(target_axes.T @ np.reshape(source.direction, (3, 3)))
    sigmas = []
    for axis in range(3):
        ratio = target.spacing[int(cosines[:, axis].argmax())] / source.spacing[axis]
        downsampled = ratio > _DOWNSAMPLING_RATIO and abs(ratio - 2) > _SPACING_TOLERANCE
        downsampled &= source.size[axis] >= _MIN_FILTER_SIZE
        sigmas.append(0.4 * float(np.sqrt(ratio**2 - 1)) if downsampled else 0.0)
    return tuple(sigmas)


def _crop_to_target(
    array: np.ndarray,
    source: Grid,
    target: Grid,
    transform: AffineTransform,
    sigmas: tuple[float, ...],
) -> tuple[np.ndarray, Grid]:
    """Return the part of a volume, and its grid, that smoothing and resampling to a target need."""
    corners = np.array([source.index(corner) for corner in transform.points(target.corners())])
    margin = 1 + _REACH * np.asarray(sigmas)
    last = np.asarray(source.size) - 1
    # Where they barely overlap, keep as many of the nearest voxels as the filter needs.
    least = np.minimum(last, _MIN_FILTER_SIZE - 1)
    start = np.clip(np.floor(corners.min(axis=0) - margin), 0, last - least).astype(int).tolist()
    stop = np.clip(np.ceil(corners.max(axis=0) + margin), least, last).astype(int).tolist()
    x, y, z = (slice(a, b + 1) for a, b in zip(start, stop, strict=True))
    origin = source.world((start[0], start[1], start[2])).tolist()
    part = array[z, y, x]
    depth, height, width = part.shape
    size = (width, height, depth)
    return part, Grid(size, source.spacing, (origin[0], origin[1], origin[2]), source.direction)


def _smooth(image: "sitk.Image", sigmas: tuple[float, ...]) -> "sitk.Image":
    """Smooth along each axis (x, y, z) by a Gaussian with a standard deviation in voxels."""
    import SimpleITK as sitk

    order = sitk.RecursiveGaussianImageFilter.ZeroOrder
    for axis, sigma in enumerate(sigmas):
        if sigma:
            sigma_mm = sigma * image.GetSpacing()[axis]
            image = sitk.RecursiveGaussian(image, sigma_mm, False, order, axis)
    return image


def _boxes_meet(a: Grid, b: Grid) -> bool:
    corners = np.array([a.index(corner) for corner in b.corners()])
    return bool(
        np.all(corners.max(axis=0) > -0.5) and np.all(corners.min(axis=0) < np.array(a.size) - 0.5)
    )
