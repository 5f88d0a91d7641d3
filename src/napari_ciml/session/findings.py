"""Findings of a reader in a case: lesions, reviewed lesions, agreement with a reference.

Evented, as `napari_ciml.session.model.SessionModel`, of which it is a part.
"""

from dataclasses import dataclass

import numpy as np
from psygnal import Signal

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.reference import Reference
from napari_ciml.lesions import Inventory, Lesion
from napari_ciml.session.comparison import Comparison

_VOLUME_TOLERANCE = 0.2
"""Relative change of volume from which on a reviewed lesion has to be reviewed again."""


@dataclass(frozen=True)
class ReviewedLesion:
    """A lesion that was reviewed.

    Parameters
    ----------
    region : str
        Region of the lesion.
    point : tuple of float
        A point in it, (x, y, z) in mm.
    volume_ml : float
        Its volume when it was reviewed.
    """

    region: str
    point: tuple[float, float, float]
    volume_ml: float


class Findings:
    """Findings in the open case.

    Attributes
    ----------
    grid : Grid or None
        The case grid.
    inventory : Inventory
        Lesions and regions of the active label map.
    marks : tuple of ReviewedLesion
        Lesions that were reviewed; they persist from run to run.
    reference : Reference or None
        Label map to compare with.
    comparison : Comparison or None
        Agreement with the reference.
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
        """Clear all findings, for another case."""
        self.grid = grid
        self.set_inventory(Inventory())
        self.set_marks(())
        self.set_reference(None)

    def set_inventory(self, inventory: Inventory) -> None:
        """Set the lesions and regions of a label map."""
        self.inventory = inventory
        self.inventory_changed.emit()

    def set_marks(self, marks: tuple[ReviewedLesion, ...]) -> None:
        """Set the reviewed lesions, as when a session is opened."""
        self.marks = marks
        self.marks_changed.emit()

    def mark(self, lesion: Lesion, seen: bool) -> None:
        """Mark a lesion as reviewed, or as not reviewed."""
        others = tuple(mark for mark in self.marks if not self._matches(mark, lesion))
        own = (ReviewedLesion(lesion.region, lesion.point, lesion.volume_ml),) if seen else ()
        self.set_marks((*others, *own))

    def seen(self, lesion: Lesion) -> bool:
        """Whether a lesion was reviewed and has about the same volume since."""
        return any(
            abs(mark.volume_ml - lesion.volume_ml) <= _VOLUME_TOLERANCE * mark.volume_ml
            for mark in self.marks
            if self._matches(mark, lesion)
        )

    def review_queue(self) -> tuple[Lesion, ...]:
        """Return all lesions: unreviewed before reviewed ones, each by priority."""
        return tuple(sorted(self.inventory.lesions, key=self.seen))

    def set_reference(self, reference: Reference | None) -> None:
        """Set the label map to compare with, or None; the comparison is cleared."""
        self.reference = reference
        self.reference_changed.emit()
        self.set_comparison(None)

    def set_comparison(self, comparison: Comparison | None) -> None:
        """Set the agreement with the reference."""
        self.comparison = comparison
        self.comparison_changed.emit()

    def _matches(self, mark: ReviewedLesion, lesion: Lesion) -> bool:
        """Whether the point of a reviewed lesion lies in a lesion of the same region."""
        if self.grid is None or mark.region != lesion.region:
            return False
        x, y, z = np.rint(self.grid.index(np.array(mark.point))).astype(int).tolist()
        return lesion.contains((z, y, x))
