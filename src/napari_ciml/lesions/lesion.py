"""What is known of a lesion, and of a region as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.metrics.diameters import Box, Diameters


@dataclass(frozen=True, eq=False)
class Lesion:
    """A connected component of a region, joined over faces, edges and corners of voxels.

    Parameters
    ----------
    region : str
        Its region.
    voxel : tuple of int
        A voxel of it, (z, y, x), in the middle of its largest axial slice.
    point : tuple of float
        The same in the world, (x, y, z) in mm.
    box, mask : tuple of slice, numpy.ndarray
        Where it lies, and which voxels there are its.
    volume_ml : float
        In millilitres.
    diameters : Diameters
        In the axial plane.
    probability, uncertainty : float or None
        Means over its voxels of the region's probability, and of its entropy in bits (over
        samples of kappa, if there are some); None without a segmentation.
    seen_by : mapping of str to float
        By segmentor: the share of its voxels that this one alone would give to the region.
    reasons : tuple of str
        Why it should be looked at.
    """

    region: str
    voxel: tuple[int, int, int]
    point: tuple[float, float, float]
    box: Box
    mask: np.ndarray
    volume_ml: float
    diameters: Diameters
    probability: float | None = None
    uncertainty: float | None = None
    seen_by: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()

    @property
    def priority(self) -> float:
        """How much it needs a look: more reasons, more doubt, fewer segmentors that see it."""
        unseen = 1 - min(self.seen_by.values(), default=1.0)
        doubt = 1 - self.probability if self.probability is not None else 0.0
        return len(self.reasons) + unseen + doubt

    def contains(self, voxel: tuple[int, int, int]) -> bool:
        """Whether a voxel (z, y, x) is one of its."""
        inside = all(s.start <= v < s.stop for v, s in zip(voxel, self.box, strict=True))
        place = tuple(v - s.start for v, s in zip(voxel, self.box, strict=True))
        return inside and bool(self.mask[place])

    def mask_on(self, grid: Grid) -> np.ndarray:
        """Return its voxels, (Z, Y, X) bool on the grid of its label map."""
        whole = np.zeros(grid.shape, bool)
        whole[self.box] = self.mask
        return whole


@dataclass(frozen=True)
class RegionSummary:
    """A region as a whole.

    Parameters
    ----------
    region : str
        Its name.
    volume_ml : float
        In millilitres.
    lesions, unlisted : int
        Lesions in all, and how many of them are too small to be listed.
    diameters : Diameters
        Of the lesion with the longest one.
    sum_of_products_mm2 : float
        Of the five largest measurable lesions, as RANO asks.
    uncertainty : float or None
        Mean entropy of the probability over the region, in bits.
    spread_ml : float or None
        Standard deviation of its volume over samples of kappa; None if nothing was sampled.
    agreement : float or None
        Mean Dice between what its segmentors say alone; None if there is but one.
    segmentor_ml : mapping of str to float
        The volume each segmentor alone would give to it.
    """

    region: str
    volume_ml: float
    lesions: int
    unlisted: int
    diameters: Diameters
    sum_of_products_mm2: float
    uncertainty: float | None
    spread_ml: float | None
    agreement: float | None
    segmentor_ml: Mapping[str, float]

    @property
    def ml_in_words(self) -> str:
        """The volume in mL and, if kappa was sampled, how far samples spread it."""
        spread = "" if self.spread_ml is None else f" ± {self.spread_ml:.1g}"
        return f"{self.volume_ml:.1f}{spread}"


@dataclass(frozen=True)
class Inventory:
    """All lesions, those that need a look first, and all regions of a label map."""

    lesions: tuple[Lesion, ...] = ()
    regions: tuple[RegionSummary, ...] = ()
