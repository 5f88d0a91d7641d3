"""Convert between label maps and overlapping regions; paint and erase regions."""

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
"""Label values of WT, TC and ET by convention: 2012-2020 without label 3, since 2021, and 2013."""


def matching_conventions(values: Collection[int]) -> tuple[str, ...]:
    """Return the names of the conventions that define all given label values."""
    present = {int(value) for value in values} - {0}
    return tuple(
        name
        for name, regions in LABEL_CONVENTIONS.items()
        if present <= {label for region in regions for label in region.labels}
    )


def with_label_convention(
    decomposition: Decomposition, convention: Sequence[Region]
) -> Decomposition:
    """Return a decomposition whose regions have the label values of another convention.

    Parameters
    ----------
    decomposition : Decomposition
        The decomposition.
    convention : sequence of Region
        Regions of the same names with the label values to use.

    Raises
    ------
    InputError
        If the convention lacks a region.
    """
    values = {region.name: region.labels for region in convention}
    missing = [name for name in decomposition.region_names if name not in values]
    if missing:
        raise InputError(
            f"The label values of {', '.join(missing)} are unknown (known are "
            f"{', '.join(values)}); choose other regions for the label maps."
        )
    regions = tuple(
        region.model_copy(update={"labels": values[region.name]})
        for region in decomposition.regions
    )
    return decomposition.model_copy(update={"regions": regions})


def label_map(masks: Mapping[str, np.ndarray], regions: Sequence[Region]) -> np.ndarray:
    """Combine overlapping regions into one label map.

    Regions are painted from the largest set of label values to the smallest, each with its
    `paint_label`: edema for WT, necrosis for TC, enhancing tumour for ET.

    Parameters
    ----------
    masks : mapping of str to numpy.ndarray
        By region, (Z, Y, X) bool.
    regions : sequence of Region
        All regions.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) uint8, or uint16 if a value is above 255.
    """
    highest = max(label for region in regions for label in region.labels)
    dtype = np.uint8 if highest < 256 else np.uint16
    result = np.zeros(next(iter(masks.values())).shape, dtype)
    for region in sorted(regions, key=lambda r: -len(r.labels)):
        result[masks[region.name]] = paint_label(region, regions)
    return result


def to_smallest_dtype(labels: np.ndarray) -> np.ndarray:
    """Convert label values to the smallest unsigned type that holds them, as `label_map` does."""
    return labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16)


def region_masks(labels: np.ndarray, regions: Sequence[Region]) -> dict[str, np.ndarray]:
    """Return a boolean mask per region, in the shape of the label map."""
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
    """Return the label that a region is painted with: its first value that no inner region has."""
    inside = {
        label
        for other in regions
        if set(other.labels) < set(region.labels)
        for label in other.labels
    }
    return next((label for label in region.labels if label not in inside), region.labels[0])


def paint_region(region: Region, labels: np.ndarray, regions: Sequence[Region]) -> np.ndarray:
    """Add voxels to a region and return their new label values.

    Voxels that are in the region already keep their value, and so does an inner region.

    Parameters
    ----------
    region : Region
        Region to add to.
    labels : numpy.ndarray
        Label values of the voxels, of any shape.
    regions : sequence of Region
        All regions.
    """
    inside = np.isin(labels, region.labels)
    return np.where(inside, labels, paint_label(region, regions)).astype(labels.dtype)


def erase_region(region: Region, labels: np.ndarray, regions: Sequence[Region]) -> np.ndarray:
    """Remove voxels from a region and its inner regions; return their new label values.

    They stay in the closest outer region. Voxels outside of the region keep their value. Parameters
    as in `paint_region`.
    """
    outer = [other for other in regions if set(other.labels) > set(region.labels)]
    closest = min(outer, key=lambda other: len(other.labels), default=None)
    value = paint_label(closest, regions) if closest is not None else 0
    return np.where(np.isin(labels, region.labels), value, labels).astype(labels.dtype)


def region_of_paint_label(value: int, regions: Sequence[Region]) -> Region | None:
    """Return the region that is painted with a label value, or None."""
    return next((region for region in regions if paint_label(region, regions) == value), None)
