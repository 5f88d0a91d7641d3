"""The lesions of a label map: how large each is, how sure, and why it should be looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.geometry import Grid, resample
from napari_ciml.cases.labels import region_masks
from napari_ciml.decomposition import Region
from napari_ciml.inference.doubt import segmentors_of, uncertainty_of
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.measures.agreement import dice
from napari_ciml.measures.size import Box, Diameters, axial_diameters, bounding_box, part
from napari_ciml.monitor import Monitor

if TYPE_CHECKING:
    from napari_ciml.inference.segment import Segmentation

MOST = 200
"""So many lesions of a region are listed, the largest ones; more than that are specks."""

_TARGETS = 5
"""RANO adds up the products of at most so many measurable lesions."""

_SPECK_ML = 0.1
_IMPROBABLE = 0.7


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
    def concern(self) -> float:
        """How much it needs a look: more reasons, more doubt, fewer segmentors that see it."""
        unseen = 1 - min(self.seen_by.values(), default=1.0)
        doubt = 1 - self.probability if self.probability is not None else 0.0
        return len(self.reasons) + unseen + doubt

    def holds(self, voxel: tuple[int, int, int]) -> bool:
        """Whether a voxel (z, y, x) is one of its."""
        inside = all(s.start <= v < s.stop for v, s in zip(voxel, self.box, strict=True))
        place = tuple(v - s.start for v, s in zip(voxel, self.box, strict=True))
        return inside and bool(self.mask[place])


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
    agreement: float | None
    segmentor_ml: Mapping[str, float]


@dataclass(frozen=True)
class Inventory:
    """All lesions, those that need a look first, and all regions of a label map."""

    lesions: tuple[Lesion, ...] = ()
    regions: tuple[RegionSummary, ...] = ()


def take_inventory(
    labels: np.ndarray,
    regions: Sequence[Region],
    grid: Grid,
    segmentation: "Segmentation | None" = None,
    monitor: Monitor | None = None,
) -> Inventory:
    """Find and measure all lesions of a label map.

    Parameters
    ----------
    labels : numpy.ndarray
        (Z, Y, X), as computed or as corrected.
    regions : sequence of Region
        What the values mean.
    grid : Grid
        Of the label map.
    segmentation : Segmentation, optional
        A run on the same grid, which says how sure it is.
    monitor : Monitor, optional
        Told as it goes on.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    monitor = monitor or Monitor()
    lesions: list[Lesion] = []
    summaries = []
    for name, mask in region_masks(labels, regions).items():
        known = segmentation if segmentation and name in segmentation.probabilities else None
        found, count = _components(mask, name, grid, monitor)
        told = _with_evidence(found, mask, grid, known, monitor)
        told = [_with_reasons(lesion, labels, regions) for lesion in told]
        lesions += told
        summaries.append(_summary(name, mask, told, count, grid, known))
    return Inventory(tuple(sorted(lesions, key=_first_look)), tuple(summaries))


def _first_look(lesion: Lesion) -> tuple[float, float]:
    return -lesion.concern, -lesion.volume_ml


def _components(
    mask: np.ndarray, region: str, grid: Grid, monitor: Monitor
) -> tuple[list[Lesion], int]:
    """Return the largest components, measured, and how many there are in all."""
    if not mask.any():
        return [], 0
    from scipy import ndimage

    monitor.step(f"Finding the lesions of {region}")
    whole = bounding_box(mask)
    parts, count = ndimage.label(mask[whole], np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(parts)
    largest = np.argsort(-sizes, kind="stable")[:MOST]
    found = []
    for done, k in enumerate(largest.tolist()):
        monitor.step(f"Measuring the lesions of {region}", done, len(largest))
        own = parts[boxes[k]] == k + 1
        z, y, x = (
            slice(a.start + int(b.start), a.stop + int(b.start))
            for a, b in zip(boxes[k], whole, strict=True)
        )
        found.append(_measured(region, own, (z, y, x), grid))
    return found, int(count)


def _measured(region: str, mask: np.ndarray, box: Box, grid: Grid) -> Lesion:
    z = int(mask.sum(axis=(1, 2)).argmax())
    plane = np.argwhere(mask[z])
    nearest = int(((plane - plane.mean(axis=0)) ** 2).sum(axis=1).argmin())
    y, x = plane[nearest].tolist()
    voxel = (box[0].start + z, box[1].start + y, box[2].start + x)
    px, py, pz = grid.world(voxel[::-1]).tolist()
    return Lesion(
        region=region,
        voxel=voxel,
        point=(px, py, pz),
        box=box,
        mask=mask,
        volume_ml=float(np.count_nonzero(mask) * grid.voxel_ml),
        diameters=axial_diameters(mask, part(grid, box)),
    )


def _with_evidence(
    lesions: list[Lesion],
    mask: np.ndarray,
    grid: Grid,
    segmentation: "Segmentation | None",
    monitor: Monitor,
) -> list[Lesion]:
    """Add what a segmentation says of each lesion of one region."""
    if segmentation is None or not lesions:
        return lesions

    region, whole = lesions[0].region, bounding_box(mask)
    probability = segmentation.probabilities[region]
    uncertainty = uncertainty_of(segmentation, region)
    here, there = part(grid, whole), segmentation.model_input.grid
    said = {}
    for name, values in segmentors_of(segmentation, region).items():
        monitor.step(f"Asking {name} about {region}")
        said[name] = resample(values, there, here) >= THRESHOLD
    result = []
    for lesion in lesions:
        inside = probability[lesion.box][lesion.mask]
        z, y, x = (
            slice(b.start - w.start, b.stop - w.start)
            for b, w in zip(lesion.box, whole, strict=True)
        )
        result.append(
            replace(
                lesion,
                probability=float(inside.mean()),
                uncertainty=float(uncertainty[lesion.box][lesion.mask].mean()),
                seen_by={n: float(v[z, y, x][lesion.mask].mean()) for n, v in said.items()},
            )
        )
    return result


def _with_reasons(lesion: Lesion, labels: np.ndarray, regions: Sequence[Region]) -> Lesion:

    reasons = []
    blind = [name for name, share in lesion.seen_by.items() if share < THRESHOLD]
    if blind and len(blind) == len(lesion.seen_by):
        reasons.append("no segmentor sees it")
    else:
        reasons += [f"{name} does not see it ({lesion.seen_by[name]:.0%})" for name in blind]
    if lesion.probability is not None and lesion.probability < _IMPROBABLE:
        reasons.append(f"improbable ({lesion.probability:.2f} on average)")
    if lesion.volume_ml < _SPECK_ML:
        reasons.append(f"smaller than {_SPECK_ML:g} mL")
    if any(s.start == 0 or s.stop == n for s, n in zip(lesion.box, labels.shape, strict=True)):
        reasons.append("cut off by the edge of the image")
    outer = max(regions, key=lambda region: len(region.labels))
    if lesion.region != outer.name and not _has_company(lesion, labels):
        reasons.append(f"nothing of {outer.name} around it")
    return replace(lesion, reasons=tuple(reasons))


def _has_company(lesion: Lesion, labels: np.ndarray) -> bool:
    """Whether another label than its own touches a lesion."""
    from scipy import ndimage

    wide = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in lesion.box)
    pads = [
        (s.start - w.start, min(w.stop, n) - s.stop)
        for s, w, n in zip(lesion.box, wide, labels.shape, strict=True)
    ]
    mask = np.pad(lesion.mask, pads)
    shell = ndimage.binary_dilation(mask, np.ones((3, 3, 3))) & ~mask
    return bool(labels[wide][shell].any())


def _summary(
    region: str,
    mask: np.ndarray,
    lesions: list[Lesion],
    count: int,
    grid: Grid,
    segmentation: "Segmentation | None",
) -> RegionSummary:
    said = segmentors_of(segmentation, region) if segmentation else {}
    alone = {name: values >= THRESHOLD for name, values in said.items()}
    overlaps = [dice(a, b) for a, b in combinations(alone.values(), 2)]
    products = sorted(x.diameters.product_mm2 for x in lesions if x.diameters.measurable)
    ml = segmentation.model_input.grid.voxel_ml if segmentation else 0.0
    sure = segmentation is not None and count > 0
    return RegionSummary(
        region=region,
        volume_ml=float(np.count_nonzero(mask) * grid.voxel_ml),
        lesions=count,
        unlisted=count - len(lesions),
        diameters=max(
            (lesion.diameters for lesion in lesions),
            key=lambda d: d.longest_mm,
            default=Diameters(0.0, 0.0),
        ),
        sum_of_products_mm2=float(sum(products[-_TARGETS:])),
        uncertainty=float(uncertainty_of(segmentation, region)[mask].mean())
        if segmentation is not None and sure
        else None,
        agreement=float(np.mean(overlaps)) if overlaps else None,
        segmentor_ml={name: float(np.count_nonzero(m) * ml) for name, m in alone.items()},
    )
