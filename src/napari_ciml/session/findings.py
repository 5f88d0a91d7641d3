"""What a reader finds in a case: lesions, marks, how well it agrees with another label map.

Evented, as `napari_ciml.session.model.Review`, of which it is a part.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from psygnal import Signal

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.reference import Reference
from napari_ciml.decomposition.model import Region
from napari_ciml.lesions import Inventory, Lesion
from napari_ciml.metrics.agreement import RegionScore, compare, difference
from napari_ciml.progress import ProgressMonitor

_CHANGED = 0.2
"""A lesion that has grown or shrunk by more than this share since it was marked is to be seen
again."""


@dataclass(frozen=True)
class ReviewedLesion:
    """A lesion that was seen.

    Parameters
    ----------
    region : str
        Of the lesion.
    point : tuple of float
        A point in it, (x, y, z) in mm.
    volume_ml : float
        Its volume when it was seen.
    """

    region: str
    point: tuple[float, float, float]
    volume_ml: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """A label map against a reference.

    Parameters
    ----------
    reference : Reference
        What it was compared with.
    scores : tuple of RegionScore
        Region by region.
    differences : dict of str to numpy.ndarray
        By region: `napari_ciml.metrics.difference` on the case grid.
    """

    reference: Reference
    scores: tuple[RegionScore, ...]
    differences: dict[str, np.ndarray]

    @classmethod
    def compute(
        cls,
        labels: np.ndarray,
        regions: tuple[Region, ...],
        reference: Reference,
        grid: Grid,
        monitor: ProgressMonitor,
    ) -> Self:
        """Compare a label map, (Z, Y, X) on the case grid, with a reference."""
        ours = region_masks(labels, regions)
        theirs = region_masks(reference.labels, reference.regions)
        scores = compare(ours, theirs, grid, monitor)
        differences = {s.region: difference(ours[s.region], theirs[s.region]) for s in scores}
        return cls(reference, scores, differences)


class Findings:
    """What was found in the case that is open.

    Attributes
    ----------
    grid : Grid or None
        The case grid.
    inventory : Inventory
        Lesions and regions of the label map that is looked at.
    marks : tuple of Mark
        Lesions that were seen; kept from one run to the next, saved and set as they are.
    reference : Reference or None
        What the label map is compared with.
    comparison : Comparison or None
        How well it agrees.
    """

    inventory_changed = Signal()
    marks_changed = Signal()
    reference_changed = Signal()
    comparison_changed = Signal()

    def __init__(self) -> None:
        self.grid: Grid | None = None
        self.inventory = Inventory()
        self.marks: tuple[ReviewedLesion, ...] = ()
        self.reference: Reference | None = None
        self.comparison: Comparison | None = None

    def reset(self, grid: Grid) -> None:
        """Begin with another case."""
        self.grid = grid
        self.set_inventory(Inventory())
        self.set_marks(())
        self.set_reference(None)

    def set_inventory(self, inventory: Inventory) -> None:
        """Take what was found in a label map."""
        self.inventory = inventory
        self.inventory_changed.emit()

    def set_marks(self, marks: tuple[ReviewedLesion, ...]) -> None:
        """Take marks, as when a session is opened again."""
        self.marks = marks
        self.marks_changed.emit()

    def mark(self, lesion: Lesion, seen: bool) -> None:
        """Mark a lesion as seen, or not."""
        others = tuple(mark for mark in self.marks if not self._is_of(mark, lesion))
        own = (ReviewedLesion(lesion.region, lesion.point, lesion.volume_ml),) if seen else ()
        self.set_marks((*others, *own))

    def seen(self, lesion: Lesion) -> bool:
        """Whether a lesion was marked as seen and is still about as large."""
        return any(
            abs(mark.volume_ml - lesion.volume_ml) <= _CHANGED * mark.volume_ml
            for mark in self.marks
            if self._is_of(mark, lesion)
        )

    def review_queue(self) -> tuple[Lesion, ...]:
        """Return all lesions: those not seen first, and of these the ones most in need of it."""
        return tuple(sorted(self.inventory.lesions, key=self.seen))

    def set_reference(self, reference: Reference | None) -> None:
        """Compare with something else, or with nothing."""
        self.reference = reference
        self.reference_changed.emit()
        self.set_comparison(None)

    def set_comparison(self, comparison: Comparison | None) -> None:
        """Take a comparison."""
        self.comparison = comparison
        self.comparison_changed.emit()

    def _is_of(self, mark: ReviewedLesion, lesion: Lesion) -> bool:
        if self.grid is None or mark.region != lesion.region:
            return False
        x, y, z = np.rint(self.grid.index(np.array(mark.point))).astype(int).tolist()
        return lesion.contains((z, y, x))
