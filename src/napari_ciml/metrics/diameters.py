"""Axial diameters of lesions as defined by RANO."""

from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.geometry import Grid, resample

_AXIS_TOLERANCE = 1e-3
"""Deviation of direction cosines up to which a grid is aligned to the world axes."""

MEASURABLE_MM = 10.0
"""RANO: a lesion is measurable if both of its diameters are at least this long."""

Box = tuple[slice, slice, slice]
Line = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class Diameters:
    """The longest diameter in an axial plane, and the longest one across it in the same plane.

    Parameters
    ----------
    longest_mm, perpendicular_mm : float
        Lengths between outer edges of voxels.
    lines : tuple of Line
        Both as pairs of points (z, y, x) in LPS mm; empty if there is no lesion.
    """

    longest_mm: float
    perpendicular_mm: float
    lines: tuple[Line, ...] = ()

    @property
    def product_mm2(self) -> float:
        """The product of both, RANO's bidimensional measure."""
        return self.longest_mm * self.perpendicular_mm

    @property
    def measurable(self) -> bool:
        """Whether a lesion of this size is measurable according to RANO."""
        return min(self.longest_mm, self.perpendicular_mm) >= MEASURABLE_MM


def axial_diameters(mask: np.ndarray, grid: Grid) -> Diameters:
    """Measure a lesion in axial planes.

    In each plane, connected components are measured separately: a diameter does not connect two of
    them. The mask of an oblique grid is first resampled to an axis-aligned one (nearest neighbour).

    Parameters
    ----------
    mask : numpy.ndarray
        (Z, Y, X) bool.
    grid : Grid
        Grid of the mask, in the orientation closest to LPS, as case grids are.

    Returns
    -------
    Diameters
        Zero if the mask is empty.
    """
    if not mask.any():
        return Diameters(0.0, 0.0)
    box = bounding_box(mask)
    straight, grid = _along_world(mask[box], crop_grid_to_box(grid, box))
    (dz, dy, dx), (oz, oy, ox) = grid.scale, grid.translate
    best = Diameters(0.0, 0.0)
    # The largest planes first, so that most of the others can be skipped.
    for z in np.argsort(-straight.sum(axis=(1, 2)), kind="stable"):
        for corners in _component_corners(straight[z]):
            points = corners * (dy, dx) + (oy, ox)
            if np.linalg.norm(np.ptp(points, axis=0)) > best.longest_mm:
                diameters = _measure_component(points, float(z * dz + oz))
                best = max(best, diameters, key=lambda d: d.longest_mm)
    return best


def bounding_box(mask: np.ndarray) -> Box:
    """Return the bounding box, (Z, Y, X), of a mask that is not empty."""
    z, y, x = (
        np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        for axis in range(3)
    )
    return slice(z[0], z[-1] + 1), slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)


def crop_grid_to_box(grid: Grid, box: Box) -> Grid:
    """Return the grid of a box (Z, Y, X) of a grid."""
    z, y, x = box
    ox, oy, oz = grid.world((x.start, y.start, z.start)).tolist()
    size = (x.stop - x.start, y.stop - y.start, z.stop - z.start)
    return Grid(
        (int(size[0]), int(size[1]), int(size[2])), grid.spacing, (ox, oy, oz), grid.direction
    )


def _along_world(mask: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Resample a mask to an axis-aligned grid, unless its own grid is one."""
    if np.allclose(np.reshape(grid.direction, (3, 3)), np.eye(3), atol=_AXIS_TOLERANCE):
        return mask, grid
    fine = min(grid.spacing[:2])
    spacing = np.array((fine, fine, grid.spacing[2]))
    corners = grid.corners()
    low, high = corners.min(axis=0), corners.max(axis=0)
    nx, ny, nz = (int(n) for n in np.ceil((high - low) / spacing - 1e-6))
    x, y, z = (low + spacing / 2).tolist()
    straight = Grid((nx, ny, nz), (fine, fine, grid.spacing[2]), (x, y, z))
    turned = resample(mask.astype(np.uint8), grid, straight, labels=True) > 0
    # A mask thinner than the sample distance would be lost: it keeps its own planes.
    return (turned, straight) if turned.any() else (mask, Grid(grid.size, grid.spacing, (x, y, z)))


def _component_corners(plane: np.ndarray) -> list[np.ndarray]:
    """Return the voxel corners, (n, 2) as (y, x) indices, that may lie on each component's hull."""
    if not plane.any():
        return []
    from scipy import ndimage

    parts, count = ndimage.label(plane, np.ones((3, 3)))
    result = []
    for k in range(1, count + 1):
        y, x = np.nonzero(parts == k)
        rows, first = np.unique(y, return_index=True)
        last = np.append(first[1:], len(y)) - 1
        result.append(
            np.concatenate(
                [
                    np.stack((rows + dy, ends + dx), axis=1)
                    for ends, dx in ((x[first], -0.5), (x[last], 0.5))
                    for dy in (-0.5, 0.5)
                ]
            )
        )
    return result


def _measure_component(points: np.ndarray, z: float) -> Diameters:
    """Measure a component whose outline is among some points, (n, 2) as (y, x) in mm."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist, squareform

    hull = points[ConvexHull(points).vertices]
    distances = squareform(pdist(hull))
    i, j = np.unravel_index(int(distances.argmax()), distances.shape)
    longest = float(distances[i, j])
    along = (hull[j] - hull[i]) / longest
    across = np.array((-along[1], along[0]))
    turned = np.stack((hull @ along, hull @ across), axis=1)
    at, low, high = _widest(turned)
    ends = (at * along + low * across, at * along + high * across)
    lines = tuple(
        ((z, float(a[0]), float(a[1])), (z, float(b[0]), float(b[1])))
        for a, b in ((hull[i], hull[j]), ends)
    )
    return Diameters(longest, float(high - low), lines)


def _widest(hull: np.ndarray) -> tuple[float, float, float]:
    """Return t and both ends of the widest section in s of a convex polygon, (n, 2) as (t, s).

    The width is a concave function of t, linear between vertices, so that its maximum is at one.
    """
    starts, ends = hull, np.roll(hull, -1, axis=0)
    best = (0.0, 0.0, 0.0)
    for t in hull[:, 0]:
        crossed = (np.minimum(starts[:, 0], ends[:, 0]) <= t) & (
            t <= np.maximum(starts[:, 0], ends[:, 0])
        )
        a, b = starts[crossed], ends[crossed]
        run = b[:, 0] - a[:, 0]
        upright = run == 0
        fraction = np.where(upright, 0.0, (t - a[:, 0]) / np.where(upright, 1.0, run))
        s = np.concatenate((a[:, 1] + fraction * (b[:, 1] - a[:, 1]), b[upright, 1]))
        if s.max() - s.min() > best[2] - best[1]:
            best = (float(t), float(s.min()), float(s.max()))
    return best
