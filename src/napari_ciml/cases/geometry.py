"""Voxel grids in the LPS world, and how volumes move between them."""

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
_EXACT = 1e-6
_COINCIDING = 1e-3
"""Voxels by which grids of the same spacing may be off and still be parts of each other."""

_MARGIN_MM = 4.0
_DOWNSAMPLING = 1.5
"""From this ratio of spacings on, an axis is smoothed before it is sampled more coarsely."""

_REACH = 12.0
"""Standard deviations of smoothing after which nothing of a voxel is left in single precision."""

_FILTERED = 4
"""Voxels along an axis without which the smoothing filter refuses it."""


@dataclass(frozen=True)
class Grid:
    """A voxel grid; everything in SimpleITK's order (x, y, z), LPS millimetres.

    Parameters
    ----------
    size : tuple of int
        Voxels along each axis.
    spacing : tuple of float
        Voxel size in mm.
    origin : tuple of float
        Centre of the first voxel in mm.
    direction : tuple of float
        Direction cosines, 3 x 3 row by row; columns are the axes.
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
        """Return size and voxel size, as in ``240 x 240 x 155, 1 x 1 x 1 mm``."""
        size = " x ".join(str(n) for n in self.size)
        spacing = " x ".join(f"{mm:.3g}" for mm in self.spacing)
        return f"{size}, {spacing} mm"

    def world(self, index: tuple[float, ...]) -> np.ndarray:
        """Return where a voxel index (x, y, z), whole or not, lies: (x, y, z) in mm."""
        axes = np.reshape(self.direction, (3, 3))
        return np.asarray(self.origin) + axes @ (np.asarray(index) * self.spacing)

    def index(self, point: np.ndarray) -> np.ndarray:
        """Return the voxel index (x, y, z), not rounded, of a point (x, y, z) in mm."""
        axes = np.reshape(self.direction, (3, 3))
        return np.linalg.solve(axes, point - np.asarray(self.origin)) / self.spacing

    def corners(self) -> np.ndarray:
        """Return the eight outer corners of the volume, (8, 3) in mm."""
        edges = [(-0.5, n - 0.5) for n in self.size]
        return np.array([self.world(corner) for corner in product(*edges)])

    def is_close(self, other: "Grid") -> bool:
        """Whether the voxels coincide, up to a hundredth of a voxel."""
        shift = self.index(np.asarray(other.origin))
        return (
            self.size == other.size
            and np.allclose(self.spacing, other.spacing, rtol=_SPACING_TOLERANCE, atol=0)
            and np.allclose(self.direction, other.direction, atol=_DIRECTION_TOLERANCE)
            and bool(np.abs(shift).max() < _ORIGIN_TOLERANCE)
        )

    def overlaps(self, other: "Grid") -> bool:
        """Whether the volumes may share a point: their boxes meet, seen from either."""
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
    """Return the three-letter code of the closest axis-aligned orientation, as in ``LPS``."""
    import SimpleITK as sitk

    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(grid.direction)
    return str(code)


def lps(grid: Grid) -> Grid:
    """Return the same voxels with axes permuted and flipped to the orientation closest to LPS."""
    axes = np.reshape(grid.direction, (3, 3))
    closest = np.reshape(_cosines(orientation(grid)), (3, 3))
    order = np.abs(closest).argmax(axis=1).tolist()  # which own axis runs along x, y and z
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
    """Permute and flip axes to an orientation; no voxel is interpolated."""
    import SimpleITK as sitk

    return sitk.DICOMOrient(image, code)


def resample(
    array: np.ndarray,
    source: Grid,
    target: Grid,
    *,
    fill: float = 0.0,
    labels: bool = False,
    transform: AffineTransform | None = None,
) -> np.ndarray:
    """Sample a volume on another grid of the same world.

    Parameters
    ----------
    array : numpy.ndarray
        (Z, Y, X) on ``source``.
    source, target : Grid
        From where to where.
    fill : float
        Value outside of ``source``.
    labels : bool
        Take the nearest voxel; else interpolate linearly, after smoothing along axes on which
        the target is coarser by more than half.
    transform : Motion, optional
        From a point of the target to the same point of the source.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) on ``target``; float32, or the array's own dtype for labels.
    """
    import SimpleITK as sitk

    transform = transform or AffineTransform()
    if transform == AffineTransform() and source.is_close(target):
        return array if labels else array.astype(np.float32, copy=False)
    if transform == AffineTransform() and (shift := _shift(source, target)) is not None:
        return _pasted(
            array if labels else array.astype(np.float32, copy=False), shift, target, fill
        )
    widths = (0.0, 0.0, 0.0) if labels else _widths(source, target, transform)
    if any(widths):
        array, source = _around(array, source, target, transform, widths)
    image = source.to_sitk(array if labels else array.astype(np.float32, copy=False))
    image = _smooth(image, widths)
    reference = sitk.Image(target.size, sitk.sitkUInt8)
    reference.SetSpacing(target.spacing)
    reference.SetOrigin(target.origin)
    reference.SetDirection(target.direction)
    how = sitk.sitkNearestNeighbor if labels else sitk.sitkLinear
    return sitk.GetArrayFromImage(sitk.Resample(image, reference, transform.to_sitk(), how, fill))


def _shift(source: Grid, target: Grid) -> tuple[int, int, int] | None:
    """Return at which (z, y, x) of a grid another one begins, if their voxels coincide."""
    if not np.allclose(source.spacing, target.spacing, rtol=_EXACT, atol=0):
        return None
    if not np.allclose(source.direction, target.direction, atol=_EXACT):
        return None
    shift = source.index(np.asarray(target.origin))[::-1]
    z, y, x = np.rint(shift).astype(int).tolist()
    return (z, y, x) if np.abs(shift - (z, y, x)).max() < _COINCIDING else None


def _pasted(
    array: np.ndarray, shift: tuple[int, int, int], target: Grid, fill: float
) -> np.ndarray:
    """Copy what two grids share; resampling would take ten times as long."""
    result = np.full(target.shape, fill, array.dtype)
    begins = [max(0, first) for first in shift]
    ends = [
        min(size, first + count)
        for size, first, count in zip(array.shape, shift, target.shape, strict=True)
    ]
    if all(begin < end for begin, end in zip(begins, ends, strict=True)):
        given = tuple(slice(begin, end) for begin, end in zip(begins, ends, strict=True))
        taken = tuple(
            slice(begin - first, end - first)
            for begin, end, first in zip(begins, ends, shift, strict=True)
        )
        result[taken] = array[given]
    return result


def bounding_box_grid(
    mask: np.ndarray,
    grid: Grid,
    spacing: tuple[float, float, float],
    margin_mm: float = _MARGIN_MM,
) -> Grid:
    """Return the grid of a mask's bounding box, with a margin, at another voxel size.

    Its outer corner is a corner of the old grid's voxels, so that at the same voxel size voxels
    coincide, and at twice the size each new voxel is exactly eight old ones.

    Parameters
    ----------
    mask : numpy.ndarray
        (Z, Y, X) bool on ``grid``, not empty.
    grid : Grid
        Of the mask.
    spacing : tuple of float
        Wanted voxel size, (Z, Y, X) in mm.
    margin_mm : float
        Around the mask; the grid does not reach beyond the old one.
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


def _widths(source: Grid, target: Grid, transform: AffineTransform) -> tuple[float, ...]:
    """Return the deviation in voxels of the smoothing along each source axis (x, y, z).

    An axis is smoothed that is about to be sampled much more coarsely. Halving the resolution with
    voxel corners aligned needs none: linear interpolation then takes the mean of eight voxels.
    """
    moved = np.reshape(transform.matrix, (3, 3)) @ np.reshape(target.direction, (3, 3))
    turn = np.abs(moved.T @ np.reshape(source.direction, (3, 3)))
    widths = []
    for axis in range(3):
        ratio = target.spacing[int(turn[:, axis].argmax())] / source.spacing[axis]
        coarser = ratio > _DOWNSAMPLING and abs(ratio - 2) > _SPACING_TOLERANCE
        coarser &= source.size[axis] >= _FILTERED
        widths.append(0.4 * float(np.sqrt(ratio**2 - 1)) if coarser else 0.0)
    return tuple(widths)


def _around(
    array: np.ndarray,
    source: Grid,
    target: Grid,
    transform: AffineTransform,
    widths: tuple[float, ...],
) -> tuple[np.ndarray, Grid]:
    """Return the part of a volume that the target, after smoothing, can tell from the whole."""
    seen = np.array([source.index(corner) for corner in transform.points(target.corners())])
    margin = 1 + _REACH * np.asarray(widths)
    last = np.asarray(source.size) - 1
    # Where they hardly meet, as much as the filter needs stays of what is nearest.
    least = np.minimum(last, _FILTERED - 1)
    start = np.clip(np.floor(seen.min(axis=0) - margin), 0, last - least).astype(int).tolist()
    stop = np.clip(np.ceil(seen.max(axis=0) + margin), least, last).astype(int).tolist()
    x, y, z = (slice(a, b + 1) for a, b in zip(start, stop, strict=True))
    origin = source.world((start[0], start[1], start[2])).tolist()
    part = array[z, y, x]
    depth, height, width = part.shape
    size = (width, height, depth)
    return part, Grid(size, source.spacing, (origin[0], origin[1], origin[2]), source.direction)


def _smooth(image: "sitk.Image", widths: tuple[float, ...]) -> "sitk.Image":
    """Gaussian smoothing along each axis (x, y, z) by its own deviation in voxels."""
    import SimpleITK as sitk

    order = sitk.RecursiveGaussianImageFilter.ZeroOrder
    for axis, width in enumerate(widths):
        if width:
            sigma = width * image.GetSpacing()[axis]
            image = sitk.RecursiveGaussian(image, sigma, False, order, axis)
    return image


def _boxes_meet(a: Grid, b: Grid) -> bool:
    seen = np.array([a.index(corner) for corner in b.corners()])
    return bool(
        np.all(seen.max(axis=0) > -0.5) and np.all(seen.min(axis=0) < np.array(a.size) - 0.5)
    )
