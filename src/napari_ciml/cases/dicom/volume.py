"""Planes put together to volumes, or a reason why they are none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_ciml.cases.dicom.plane import Plane
from napari_ciml.cases.geometry import Grid

SAME_PLACE_MM = 1e-2
"""Planes closer than this along their normal lie at one place."""

_EVEN = 0.05
"""Share of the distance between planes by which they may be off."""

_STRAIGHT = 0.05
"""Voxels by which a plane may lie beside the one before without being shifted."""

_LARGEST_HOLE = 4.5
"""Of the usual distance, between two planes."""

_SHORTEST_SECTION = 3
_MISSING_SHARE = 0.1
_UNEVEN_RATIO = 6.0


@dataclass(frozen=True)
class Stack:
    """A volume: planes in order along their normal, and the grid they are read onto.

    Parameters
    ----------
    planes : tuple of Plane
        At least two.
    grid : Grid
        Even and at right angles, axes those of the planes; where planes lie on it exactly,
        nothing is interpolated.
    title : str
        For the user: number and description of the series.
    factor : float
        From the series' unit to the one that is shown (SUV).
    notices : tuple of str
        What is done to make it even.
    """

    planes: tuple[Plane, ...]
    grid: Grid
    title: str = ""
    factor: float = 1.0
    notices: tuple[str, ...] = ()

    def plane_positions(self) -> np.ndarray:
        """Return where each plane's first voxel lies on the grid: (n, 3) in voxels, x, y, z."""
        return np.array([self.grid.index(np.array(plane.position)) for plane in self.planes])


class NoVolumeError(Exception):
    """Planes that are no volume; says why, in words that follow the series' title."""


def group_planes(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Put planes that go with each other together, in the order in which they come."""
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
    """Order planes along their normal and find the grid.

    Parameters
    ----------
    planes : sequence of Plane
        One group of `gather`.

    Raises
    ------
    NoVolumeError
        If there is one place only, several volumes at one place, or too much is missing.
    """
    normal = planes[0].axes[2]
    ordered = sorted(planes, key=lambda p: (float(np.dot(normal, p.position)), p.number))
    ordered, notices = _one_at_each_place(ordered, normal)
    if len(ordered) < 2:
        raise NoVolumeError("is a single image")
    heights = np.array([np.dot(normal, plane.position) for plane in ordered])
    count, said = _levels(heights)
    return Stack(tuple(ordered), _grid(ordered, heights, count), notices=(*notices, *said))


def _one_at_each_place(
    ordered: Sequence[Plane], normal: np.ndarray
) -> tuple[list[Plane], tuple[str, ...]]:
    places: list[list[Plane]] = []
    for plane in ordered:
        height = float(np.dot(normal, plane.position))
        if places and height - float(np.dot(normal, places[-1][0].position)) < SAME_PLACE_MM:
            places[-1].append(plane)
        else:
            places.append([plane])
    counts = sorted(len(place) for place in places)
    if counts[-1] == 1:
        return list(ordered), ()
    doubled = sum(count > 1 for count in counts)
    if counts[-1] > 2 or doubled > max(1, _MISSING_SHARE * len(places)):
        raise NoVolumeError(_several(places))
    kept = [
        max(place, key=lambda plane: (plane.acquisition_time, plane.number)) for place in places
    ]
    what = "1 slice is" if doubled == 1 else f"{doubled} slices are"
    return kept, (f"{what} there twice; the later one is used",)


def _several(places: Sequence[Sequence[Plane]]) -> str:
    """Say what the volumes at one place are."""
    fullest = max(places, key=len)
    weightings = {plane.b_value for plane in fullest} - {None}
    if len(weightings) > 1:
        return f"is diffusion-weighted, with {len(weightings)} b-values"
    if len({len(place) for place in places}) == 1:
        return f"is 4-D, {len(fullest)} time points; one volume is needed"
    return "has some slices several times over, which cannot be told apart"


def _levels(heights: np.ndarray) -> tuple[int, tuple[str, ...]]:
    """Return how many even levels the planes lie on, and what there is to say about it."""
    gaps = np.diff(heights)
    extent, usual = float(heights[-1] - heights[0]), float(np.median(gaps))
    even = extent / (len(heights) - 1)
    line = heights[0] + even * np.arange(len(heights))
    if np.abs(heights - line).max() < _EVEN * even:
        return len(heights), ()
    steps = np.rint(gaps / usual)
    whole = (steps >= 1) & (np.abs(gaps - steps * usual) < _EVEN * usual * steps)
    missing = int(steps.sum()) - len(gaps)
    if whole.all() and not _in_sections(steps):
        said = "1 slice is missing" if missing == 1 else f"{missing} slices are missing"
        if steps.max() > _LARGEST_HOLE or missing > max(1, _MISSING_SHARE * len(heights)):
            raise NoVolumeError(f"is not complete, {said}; get it again")
        where = ", ".join(f"{heights[k] + usual:.1f}" for k in np.flatnonzero(steps > 1)[:3])
        mended = "interpolated between its neighbours" if missing == 1 else "interpolated"
        return len(heights) + missing, (f"{said} (at {where} mm), {mended}",)
    low, high = float(gaps.min()), float(gaps.max())
    if high > _UNEVEN_RATIO * low:
        raise NoVolumeError(f"has slices {low:.3g} to {high:.3g} mm apart, which is no volume")
    count = round(extent / low) + 1
    even = extent / (count - 1)
    return count, (
        f"slices are {low:.3g} to {high:.3g} mm apart; brought to {even:.3g} mm, by interpolation",
    )


def _in_sections(steps: np.ndarray) -> bool:
    """Whether distances change from one section of the volume to the next, as if so acquired."""
    ends = np.flatnonzero(np.diff(steps)) + 1
    lengths = np.diff([0, *ends, len(steps)])
    return len(lengths) in (2, 3) and bool(lengths.min() >= _SHORTEST_SECTION)


def _grid(ordered: Sequence[Plane], heights: np.ndarray, count: int) -> Grid:
    """Return the even grid that holds every plane, sheared ones (a tilted gantry) included."""
    first, axes = ordered[0], ordered[0].axes
    positions = np.array([plane.position for plane in ordered])
    columns, rows = first.size
    spacing = (*first.spacing, float(heights[-1] - heights[0]) / (count - 1))
    offsets = (positions - positions[0]) @ axes[:2].T / np.array(first.spacing)
    if (np.ptp(offsets, axis=0) > first.size).any():
        raise NoVolumeError("has slices that do not lie over each other")
    origin, size = positions[0], (columns, rows)
    if np.abs(offsets).max() > _STRAIGHT:
        low = np.floor(offsets.min(axis=0) + 1e-3).astype(int)
        high = np.ceil(offsets.max(axis=0) - 1e-3).astype(int)
        origin = origin + (low * first.spacing) @ axes[:2]
        size = (columns + int(high[0] - low[0]), rows + int(high[1] - low[1]))
    x, y, z = origin.tolist()
    direction = tuple(axes.T.ravel().tolist())
    return Grid((*size, count), spacing, (x, y, z), direction)


def is_sheared(made: Stack) -> bool:
    """Whether planes have to be shifted within themselves, as behind a tilted gantry."""
    return made.grid.size[:2] != made.planes[0].size


def tilt_degrees(made: Stack) -> float:
    """Return the angle between the line of the planes' corners and their normal."""
    line = np.subtract(made.planes[-1].position, made.planes[0].position)
    share = abs(float(np.dot(line, made.planes[0].axes[2]))) / float(np.linalg.norm(line))
    return float(np.degrees(np.arccos(min(share, 1.0))))


def with_gantry_tilt_notice(made: Stack) -> Stack:
    """Add what a tilted gantry means, if there is one."""
    if not is_sheared(made):
        return made
    said = (
        f"its slices are shifted against each other (gantry tilt of {tilt_degrees(made):.1f} "
        "degrees); brought to right angles, by interpolation"
    )
    return replace(made, notices=(*made.notices, said))
