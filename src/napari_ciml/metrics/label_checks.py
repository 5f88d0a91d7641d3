"""Check a painted label map for issues, and propose corrections."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import region_masks
from napari_ciml.decomposition.model import Region
from napari_ciml.metrics.diameters import Box, bounding_box
from napari_ciml.progress import ProgressMonitor

_FULL = np.ones((3, 3, 3))

SPECK_ML = 0.05
"""What is smaller is called a speck, if nobody says otherwise."""

Voxels = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class LabelIssue:
    """One thing that may be wrong.

    Parameters
    ----------
    sentence : str
        Description with size and position.
    where : tuple of numpy.ndarray
        Indices (z, y, x) of its voxels.
    value : int or None
        Label that corrects it; None if the user has to decide.
    """

    sentence: str
    where: Voxels
    value: int | None

    @property
    def voxel(self) -> tuple[int, int, int]:
        """A voxel (z, y, x) of the issue."""
        middle = len(self.where[0]) // 2
        z, y, x = (int(axis[middle]) for axis in self.where)
        return z, y, x


def check_labels(
    labels: np.ndarray,
    regions: Sequence[Region],
    grid: Grid,
    smallest_ml: float,
    monitor: ProgressMonitor | None = None,
) -> tuple[LabelIssue, ...]:
    """Look for values of no region, specks, enclosed holes, and inner regions without context.

    What is told of an outer region is not told again of those inside it.

    Parameters
    ----------
    labels : numpy.ndarray
        (Z, Y, X).
    regions : sequence of Region
        Label values by region.
    grid : Grid
        Grid of the label map.
    smallest_ml : float
        A component smaller than this is a speck, unless it is the region's only one.
    monitor : ProgressMonitor, optional
        Notified at each region.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    monitor = monitor or ProgressMonitor()
    if not labels.any():
        return ()
    search = _Search(labels, grid, smallest_ml)
    faults = list(search.unknown_labels({label for region in regions for label in region.labels}))
    outside_in = sorted(regions, key=lambda region: -len(region.labels))
    for done, region in enumerate(outside_in):
        monitor.step(f"Checking {region.name}", done, len(outside_in))
        inside = any(set(region.labels) < set(other.labels) for other in regions)
        innermost = inside and not any(set(o.labels) < set(region.labels) for o in regions)
        faults += search.specks(region)
        if innermost:
            faults += search.isolated_regions(region, outside_in[0])
        else:
            faults += search.holes(region)
    return tuple(faults)


class _Search:
    """Finds the issues of a label map; no voxel is reported twice."""

    def __init__(self, labels: np.ndarray, grid: Grid, smallest_ml: float) -> None:
        self.box: Box = bounding_box(labels > 0)
        self.labels = labels[self.box]
        self.full, self.grid, self.smallest_ml = labels, grid, smallest_ml
        self.reported = np.zeros(self.labels.shape, bool)

    def unknown_labels(self, known: set[int]) -> Iterator[LabelIssue]:
        """Yield label values that belong to no region."""
        for value in np.unique(self.labels).tolist():
            if value and value not in known:
                where = self.labels == value
                yield self._fault(f"Label {value} belongs to no region:", where, 0)

    def specks(self, region: Region) -> Iterator[LabelIssue]:
        """Find components that are too small, beside others."""
        parts = list(self._parts(self._mask(region), _FULL))
        for box, part in parts:
            small = np.count_nonzero(part) * self.grid.voxel_ml < self.smallest_ml
            if small and len(parts) > 1 and not self.reported[box][part].all():
                value = self._around(box, part, None)
                yield self._fault(
                    f"{region.name}: small component of", self._placed(box, part), value
                )

    def holes(self, region: Region) -> Iterator[LabelIssue]:
        """Yield enclosed holes of a region."""
        from scipy import ndimage

        mask = self._mask(region)
        for box, part in self._parts(ndimage.binary_fill_holes(mask) & ~mask, None):
            if not self.reported[box][part].all():
                value = self._around(box, part, region)
                yield self._fault(f"{region.name}: hole of", self._placed(box, part), value)

    def isolated_regions(self, region: Region, outer: Region) -> Iterator[LabelIssue]:
        """Yield components of the outermost region that consist of an innermost region only."""
        for box, part in self._parts(self._mask(outer), _FULL):
            is_isolated = np.isin(self.labels[box][part], region.labels).all()
            if is_isolated and not self.reported[box][part].all():
                small = np.count_nonzero(part) * self.grid.voxel_ml < self.smallest_ml
                words = f"{region.name} outside of {outer.name}:"
                yield self._fault(words, self._placed(box, part), 0 if small else None)

    def _mask(self, region: Region) -> np.ndarray:
        return region_masks(self.labels, [region])[region.name]

    def _parts(
        self, mask: np.ndarray, structure: np.ndarray | None
    ) -> Iterator[tuple[Box, np.ndarray]]:
        from scipy import ndimage

        parts, _ = ndimage.label(mask, structure)
        for k, box in enumerate(ndimage.find_objects(parts)):
            yield box, parts[box] == k + 1

    def _around(self, box: Box, part: np.ndarray, region: Region | None) -> int:
        """Return the most frequent label that touches a part, of a region if one is given."""
        from scipy import ndimage

        z, y, x = (
            slice(max(a.start + b.start - 1, 0), a.stop + b.start + 1)
            for a, b in zip(box, self.box, strict=True)
        )
        here = self.full[z, y, x]
        mask = np.zeros(here.shape, bool)
        mask[
            tuple(
                slice(a.start + b.start - w.start, a.stop + b.start - w.start)
                for a, b, w in zip(box, self.box, (z, y, x), strict=True)
            )
        ] = part
        touching = here[ndimage.binary_dilation(mask, _FULL) & ~mask]
        if region is not None:
            touching = touching[np.isin(touching, region.labels)]
        return int(np.bincount(touching).argmax()) if touching.size else 0

    def _placed(self, box: Box, part: np.ndarray) -> np.ndarray:
        where = np.zeros(self.labels.shape, bool)
        where[box] = part
        return where

    def _fault(self, words: str, where: np.ndarray, value: int | None) -> LabelIssue:
        self.reported |= where
        z, y, x = (axis + s.start for axis, s in zip(np.nonzero(where), self.box, strict=True))
        count = len(z)
        fault = LabelIssue("", (z, y, x), value)
        voxels = "1 voxel" if count == 1 else f"{count} voxels"
        position = format_anatomical(self.grid.world(fault.voxel[::-1]))
        ml = count * self.grid.voxel_ml
        return LabelIssue(f"{words} {voxels} ({ml:.3g} mL) at {position}.", (z, y, x), value)


def format_anatomical(point: np.ndarray) -> str:
    """Format a point (x, y, z) in LPS mm, such as ``12 L, 30 A, 45 S mm``."""
    letters = zip(point, ("LR", "PA", "SI"), strict=True)
    return ", ".join(f"{abs(mm):.0f} {sides[int(mm < 0)]}" for mm, sides in letters) + " mm"
