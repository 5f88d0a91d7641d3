"""Assemble the planes of a DICOM series into a volume, or say why they are none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_ciml.cases.dicom.plane import Plane
from napari_ciml.cases.geometry import Grid

SAME_POSITION_MM = 1e-2
"""Planes closer than this along their normal are at the same position."""

_SPACING_TOLERANCE = 0.05
"""Fraction of the distance between planes by which their positions may deviate."""

_SHIFT_TOLERANCE = 0.05
"""Voxels by which a plane may be shifted in-plane without resampling."""

_MAX_GAP = 4.5
"""Largest distance between neighbouring planes, in units of the median distance."""

_MIN_SECTION = 3
"""Smallest number of gaps of equal width in a section of a volume."""

_MAX_MISSING = 0.1
"""Largest fraction of planes that may be missing or duplicated."""

_MAX_SPACING_RATIO = 6.0
"""Largest ratio of the distances between planes."""


@dataclass(frozen=True)
class Stack:
    """A volume: planes in order along their normal, and the grid they are read onto.

    Parameters
    ----------
    planes : tuple of Plane
        At least two.
    grid : Grid
        Orthogonal, with even spacing and the axes of the planes; where planes lie on it exactly,
        nothing is interpolated.
    title : str
        Number and description of the series, for the user.
    series_number : int or None
        SeriesNumber, if the header states one.
    factor : float
        Factor from the unit of the series to the unit shown (SUV).
    notices : tuple of str
        Corrections made to fit the grid, as clauses.
    """

    planes: tuple[Plane, ...]
    grid: Grid
    title: str = ""
    series_number: int | None = None
    factor: float = 1.0
    notices: tuple[str, ...] = ()

    @property
    def short_title(self) -> str:
        """The title without the description."""
        return "another series" if self.series_number is None else f"Series {self.series_number}"

    def plane_positions(self) -> np.ndarray:
        """Return where the first voxel of each plane lies: (n, 3) in voxels (x, y, z)."""
        return np.array([self.grid.index(np.array(plane.position)) for plane in self.planes])


class NoVolumeError(Exception):
    """Planes that form no volume; the message is a clause that follows "it"."""


def group_planes(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Group planes that may belong to one volume, in the order in which they come."""
    groups: list[list[Plane]] = []
    for plane in planes:
        for group in groups:
            if plane.is_compatible(group[0]):
                group.append(plane)
                break
        else:
            groups.append([plane])
    return groups


def stack_planes(planes: Sequence[Plane]) -> Stack:
    """Sort planes along their normal and derive the grid.

    Parameters
    ----------
    planes : sequence of Plane
        One group of `group_planes`.

    Raises
    ------
    NoVolumeError
        If there is only one position, several volumes at one position, or too much is missing.
    """
    normal = planes[0].axes[2]
    ordered = sorted(planes, key=lambda p: (float(np.dot(normal, p.position)), p.number))
    ordered, notices = _one_plane_per_position(ordered, normal)
    if len(ordered) < 2:
        raise NoVolumeError("is a single image")
    heights = np.array([np.dot(normal, plane.position) for plane in ordered])
    count, spacing_notices = _level_count(heights)
    grid = _fit_grid(ordered, heights, count)
    return Stack(tuple(ordered), grid, notices=(*notices, *spacing_notices))


def is_sheared(stack: Stack) -> bool:
    """Whether planes have to be shifted in-plane, as with a tilted gantry."""
    return stack.grid.size[:2] != stack.planes[0].size


def tilt_degrees(stack: Stack) -> float:
    """Return the angle between the line through the corners of the planes and their normal."""
    line = np.subtract(stack.planes[-1].position, stack.planes[0].position)
    cosine = abs(float(np.dot(line, stack.planes[0].axes[2]))) / float(np.linalg.norm(line))
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def with_gantry_tilt_notice(stack: Stack) -> Stack:
    """Add a notice that the gantry is tilted, if it is."""
    if not is_sheared(stack):
        return stack
    notice = (
        f"its slices are shifted against each other (gantry tilt of {tilt_degrees(stack):.1f} "
        "degrees); resampled to an orthogonal grid"
    )
    return replace(stack, notices=(*stack.notices, notice))


def _one_plane_per_position(
    ordered: Sequence[Plane], normal: np.ndarray
) -> tuple[list[Plane], tuple[str, ...]]:
    """Drop the earlier plane where a few positions hold two."""
    positions: list[list[Plane]] = []
    for plane in ordered:
        height = float(np.dot(normal, plane.position))
        previous = float(np.dot(normal, positions[-1][0].position)) if positions else -np.inf
        if height - previous < SAME_POSITION_MM:
            positions[-1].append(plane)
        else:
            positions.append([plane])
    counts = sorted(len(planes) for planes in positions)
    if counts[-1] == 1:
        return list(ordered), ()
    duplicated = sum(count > 1 for count in counts)
    if counts[-1] > 2 or duplicated > max(1, _MAX_MISSING * len(positions)):
        raise NoVolumeError(_why_several_volumes(positions))
    latest = [
        max(planes, key=lambda plane: (plane.acquisition_time, plane.number))
        for planes in positions
    ]
    slices = "1 slice is" if duplicated == 1 else f"{duplicated} slices are"
    return latest, (f"{slices} there twice; the later one is used",)


def _why_several_volumes(positions: Sequence[Sequence[Plane]]) -> str:
    """Return what several planes at each position are."""
    fullest = max(positions, key=len)
    b_values = {plane.b_value for plane in fullest} - {None}
    if len(b_values) > 1:
        return f"is diffusion-weighted, with {len(b_values)} b-values"
    if len({len(planes) for planes in positions}) == 1:
        return f"is 4-D, {len(fullest)} time points; one volume is needed"
    return "has several images of some slices, which cannot be told apart"


def _level_count(heights: np.ndarray) -> tuple[int, tuple[str, ...]]:
    """Return the number of evenly spaced levels for planes, and notices of interpolation."""
    gaps = np.diff(heights)
    extent, median = float(heights[-1] - heights[0]), float(np.median(gaps))
    spacing = extent / (len(heights) - 1)
    line = heights[0] + spacing * np.arange(len(heights))
    if np.abs(heights - line).max() < _SPACING_TOLERANCE * spacing:
        return len(heights), ()
    steps = np.rint(gaps / median)
    is_multiple = (steps >= 1) & (
        np.abs(gaps - steps * median) < _SPACING_TOLERANCE * median * steps
    )
    missing = int(steps.sum()) - len(gaps)
    if is_multiple.all() and not _has_sections(steps):
        slices = "1 slice is missing" if missing == 1 else f"{missing} slices are missing"
        if steps.max() > _MAX_GAP or missing > max(1, _MAX_MISSING * len(heights)):
            raise NoVolumeError(f"is not complete, {slices}; get it again")
        where = ", ".join(f"{heights[k] + median:.1f}" for k in np.flatnonzero(steps > 1)[:3])
        repair = "interpolated between its neighbours" if missing == 1 else "interpolated"
        return len(heights) + missing, (f"{slices} (at {where} mm), {repair}",)
    low, high = float(gaps.min()), float(gaps.max())
    if high > _MAX_SPACING_RATIO * low:
        raise NoVolumeError(f"has slices {low:.3g} to {high:.3g} mm apart, which is no volume")
    count = round(extent / low) + 1
    spacing = extent / (count - 1)
    return count, (
        f"slices are {low:.3g} to {high:.3g} mm apart; interpolated to {spacing:.3g} mm",
    )


def _has_sections(steps: np.ndarray) -> bool:
    """Whether the distance changes from one section of the volume to the next, by design."""
    ends = np.flatnonzero(np.diff(steps)) + 1
    lengths = np.diff([0, *ends, len(steps)])
    return len(lengths) in (2, 3) and bool(lengths.min() >= _MIN_SECTION)


def _fit_grid(ordered: Sequence[Plane], heights: np.ndarray, count: int) -> Grid:
    """Return the evenly spaced grid that holds every plane, also sheared ones (gantry tilt)."""
    first, axes = ordered[0], ordered[0].axes
    positions = np.array([plane.position for plane in ordered])
    columns, rows = first.size
    spacing = (*first.spacing, float(heights[-1] - heights[0]) / (count - 1))
    offsets = (positions - positions[0]) @ axes[:2].T / np.array(first.spacing)
    if (np.ptp(offsets, axis=0) > first.size).any():
        raise NoVolumeError("has slices that do not overlap in-plane")
    origin, size = positions[0], (columns, rows)
    if np.abs(offsets).max() > _SHIFT_TOLERANCE:
        low = np.floor(offsets.min(axis=0) + 1e-3).astype(int)
        high = np.ceil(offsets.max(axis=0) - 1e-3).astype(int)
        origin = origin + (low * first.spacing) @ axes[:2]
        size = (columns + int(high[0] - low[0]), rows + int(high[1] - low[1]))
    x, y, z = origin.tolist()
    direction = tuple(axes.T.ravel().tolist())
    return Grid((*size, count), spacing, (x, y, z), direction)
