"""Label maps and the overlapping regions they stand for."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from napari_ciml.decomposition.model import Decomposition, Region
from napari_ciml.errors import InputError


def _brats(enhancing: int, *core: int) -> tuple[Region, ...]:
    return (
        Region(name="WT", labels=(*core, 2, enhancing), colour="#2ca02c"),
        Region(name="TC", labels=(*core, enhancing), colour="#d62728"),
        Region(name="ET", labels=(enhancing,), colour="#ffd92f"),
    )


LABEL_CONVENTIONS: dict[str, tuple[Region, ...]] = {
    "brats2020": _brats(4, 1),
    "brats2021": _brats(3, 1),
    "brats2013": _brats(4, 1, 3),
}
"""Which label values make WT, TC and ET: 2012-2020 without label 3, from 2021 on, and 2013."""


def matching_conventions(values: Collection[int]) -> tuple[str, ...]:
    """Return the conventions that could explain a label map's values; the user decides."""
    present = {int(value) for value in values} - {0}
    return tuple(
        name
        for name, regions in LABEL_CONVENTIONS.items()
        if present <= {label for region in regions for label in region.labels}
    )


def with_label_convention(whole: Decomposition, meaning: Sequence[Region]) -> Decomposition:
    """Return a decomposition whose regions are made of other label values.

    Parameters
    ----------
    whole : Decomposition
        What is to be segmented.
    meaning : sequence of Region
        Which values make each region, by its name, in the label maps that are read.

    Raises
    ------
    InputError
        If a region has no meaning there.
    """
    values = {region.name: region.labels for region in meaning}
    missing = [name for name in whole.region_names if name not in values]
    if missing:
        raise InputError(
            f"Nothing says which label values make {', '.join(missing)} (known are "
            f"{', '.join(values)}); choose other regions for the label maps."
        )
    regions = tuple(
        region.model_copy(update={"labels": values[region.name]}) for region in whole.regions
    )
    return whole.model_copy(update={"regions": regions})


def label_map(masks: Mapping[str, np.ndarray], regions: Sequence[Region]) -> np.ndarray:
    """Turn overlapping regions into one label map.

    Regions are painted from the largest set of label values to the smallest. Each takes the first
    of its values that no region inside it has: edema for WT, necrosis for TC, enhancing for ET.

    Parameters
    ----------
    masks : mapping of str to numpy.ndarray
        By region, (Z, Y, X) bool.
    regions : sequence of Region
        All of them.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) uint8, or uint16 where a value is above 255.
    """
    highest = max(label for region in regions for label in region.labels)
    dtype = np.uint8 if highest < 256 else np.uint16
    result = np.zeros(next(iter(masks.values())).shape, dtype)
    for region in sorted(regions, key=lambda r: -len(r.labels)):
        result[masks[region.name]] = paint_label(region, regions)
    return result


def to_smallest_dtype(labels: np.ndarray) -> np.ndarray:
    """Return label values in the smallest type that holds them, as `label_map` does."""
    return labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)


def region_masks(labels: np.ndarray, regions: Sequence[Region]) -> dict[str, np.ndarray]:
    """Return each region's mask, bool in the shape of the label map."""
    return {region.name: np.isin(labels, region.labels) for region in regions}


def nest_regions(
    masks: Mapping[str, np.ndarray], regions: Sequence[Region]
) -> dict[str, np.ndarray]:
    """Make regions nested: ET and TC inside WT, and ET a part of TC.

    A region contains another if the other's label values are a proper subset of its own. Regions
    that none contains restrict those inside them; between these, what is in an inner region is in
    those around it, too.

    Parameters
    ----------
    masks : mapping of str to numpy.ndarray
        By region, (Z, Y, X) bool; a region without a mask neither restricts nor adds.
    regions : sequence of Region
        All of them.

    Returns
    -------
    dict of str to numpy.ndarray
        By region, in the order of ``masks``.
    """
    labels = {region.name: set(region.labels) for region in regions if region.name in masks}
    outermost = {name for name in masks if not any(labels[other] > labels[name] for other in masks)}
    result = {}
    for name, mask in masks.items():
        around = [masks[other] for other in outermost if labels[other] > labels[name]]
        inside = [masks[other] for other in masks if labels[other] < labels[name]]
        if around:
            mask = np.logical_or.reduce([mask, *inside]) & np.logical_and.reduce(around)
        result[name] = mask
    return result


def paint_label(region: Region, regions: Sequence[Region]) -> int:
    """Return the first value of a region that no region inside it has: what it is painted with."""
    inside = {
        label
        for other in regions
        if set(other.labels) < set(region.labels)
        for label in other.labels
    }
    return next((label for label in region.labels if label not in inside), region.labels[0])


def paint_region(region: Region, labels: np.ndarray, regions: Sequence[Region]) -> np.ndarray:
    """Return label values after voxels were added to a region.

    What is in it already stays as it is: a region inside it keeps its voxels.

    Parameters
    ----------
    region : Region
        To which all of these voxels belong now.
    labels : numpy.ndarray
        Label values of any shape.
    regions : sequence of Region
        All of them.
    """
    inside = np.isin(labels, region.labels)
    return np.where(inside, labels, paint_label(region, regions)).astype(labels.dtype)


def erase_region(region: Region, labels: np.ndarray, regions: Sequence[Region]) -> np.ndarray:
    """Return label values after voxels were taken out of a region, and of those inside it.

    They stay in the region around it; what is not in the region stays as it is. Parameters as in
    `paint_region`.
    """
    around = [other for other in regions if set(other.labels) > set(region.labels)]
    closest = min(around, key=lambda other: len(other.labels), default=None)
    rest = paint_label(closest, regions) if closest is not None else 0
    return np.where(np.isin(labels, region.labels), rest, labels).astype(labels.dtype)


def region_of_paint_label(value: int, regions: Sequence[Region]) -> Region | None:
    """Return the region that is painted with a label value, if there is one."""
    return next((region for region in regions if paint_label(region, regions) == value), None)
