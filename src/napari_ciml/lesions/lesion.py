"""Lesions, summaries of regions, and the inventory of a label map."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.metrics.diameters import Box, Diameters


@dataclass(frozen=True, eq=False)
class Lesion:
    """A 26-connected component of a region.

    Parameters
    ----------
    region : str
        Name of the region.
    voxel : tuple of int
        A voxel (z, y, x) of the lesion in the middle of its largest axial slice.
    point : tuple of float
        The same voxel as (x, y, z) in LPS mm.
    box, mask : tuple of slice, numpy.ndarray
        Bounding box, and mask (Z, Y, X) bool in it.
    volume_ml : float
        Volume in millilitres.
    diameters : Diameters
        Diameters in the axial plane.
    probability, uncertainty : float or None
        Means over its voxels of the probability of the region and of its entropy in bits (over
        samples of kappa, if there are any); None without a segmentation.
    seen_by : mapping of str to float
        By segmentor, the fraction of its voxels that this segmentor alone predicts.
    reasons : tuple of str
        Reasons to review it.
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
        """Urgency of a review: number of reasons, disagreement of segmentors, improbability."""
        disagreement = 1 - min(self.seen_by.values(), default=1.0)
        improbability = 1 - self.probability if self.probability is not None else 0.0
        return len(self.reasons) + disagreement + improbability

    def contains(self, voxel: tuple[int, int, int]) -> bool:
        """Whether a voxel (z, y, x) belongs to the lesion."""
        inside = all(s.start <= v < s.stop for v, s in zip(voxel, self.box, strict=True))
        index = tuple(v - s.start for v, s in zip(voxel, self.box, strict=True))
        return inside and bool(self.mask[index])

    def mask_on(self, grid: Grid) -> np.ndarray:
        """Return the mask of the lesion, (Z, Y, X) bool on the grid of its label map."""
        mask = np.zeros(grid.shape, bool)
        mask[self.box] = self.mask
        return mask


@dataclass(frozen=True)
class RegionSummary:
    """Measurements of a region.

    Parameters
    ----------
    region : str
        Name of the region.
    volume_ml : float
        Volume in millilitres.
    lesions, unlisted : int
        Number of lesions, and how many of them are not listed.
    diameters : Diameters
        Diameters of the lesion with the longest diameter.
    sum_of_products_mm2 : float
        Sum of bidimensional products of the five largest measurable lesions (RANO).
    uncertainty : float or None
        Mean entropy of the probability over the region, in bits.
    spread_ml : float or None
        Standard deviation of the volume over samples of kappa; None without sampling.
    agreement : float or None
        Mean pairwise Dice of the segmentors; None if there is only one.
    segmentor_ml : mapping of str to float
        Volume that each segmentor alone predicts, in millilitres.
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
        """The volume in mL with its spread over samples of kappa, such as ``12.3 ± 0.4``."""
        spread = "" if self.spread_ml is None else f" ± {self.spread_ml:.1g}"
        return f"{self.volume_ml:.1f}{spread}"


@dataclass(frozen=True)
class Inventory:
    """Lesions of a label map by priority, and its regions."""

    lesions: tuple[Lesion, ...] = ()
    regions: tuple[RegionSummary, ...] = ()
