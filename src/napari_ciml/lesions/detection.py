"""Detect and measure the lesions of a label map."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import region_masks
from napari_ciml.decomposition.model import Region
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.inference.uncertainty_maps import segmentor_probabilities
from napari_ciml.lesions.evidence import add_model_evidence, mean_uncertainty, with_reasons
from napari_ciml.lesions.lesion import Inventory, Lesion, RegionSummary
from napari_ciml.metrics.agreement import dice
from napari_ciml.metrics.diameters import (
    Box,
    Diameters,
    axial_diameters,
    bounding_box,
    crop_grid_to_box,
)
from napari_ciml.progress import ProgressMonitor

MOST = 200
"""Maximum number of lesions listed per region; the largest ones are."""

_MAX_TARGETS = 5
"""Maximum number of measurable lesions whose products RANO sums."""


def detect_lesions(
    labels: np.ndarray,
    regions: Sequence[Region],
    grid: Grid,
    segmentation: Segmentation | None = None,
    monitor: ProgressMonitor | None = None,
) -> Inventory:
    """Detect and measure the lesions of a label map.

    Parameters
    ----------
    labels : numpy.ndarray
        Label map, (Z, Y, X).
    regions : sequence of Region
        Label values by region.
    grid : Grid
        Grid of the label map.
    segmentation : Segmentation, optional
        A run on the same grid, for probability and uncertainty.
    monitor : ProgressMonitor, optional
        Notified at each region and lesion.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    monitor = monitor or ProgressMonitor()
    lesions: list[Lesion] = []
    summaries = []
    for name, mask in region_masks(labels, regions).items():
        model_run = segmentation if segmentation and name in segmentation.probabilities else None
        components, count = _components(mask, name, grid, monitor)
        components = add_model_evidence(components, mask, grid, model_run, monitor)
        components = [with_reasons(lesion, labels, regions) for lesion in components]
        lesions += components
        summaries.append(_summary(name, mask, components, count, grid, model_run))
    return Inventory(tuple(sorted(lesions, key=_review_order)), tuple(summaries))


def _review_order(lesion: Lesion) -> tuple[float, float]:
    return -lesion.priority, -lesion.volume_ml


def _components(
    mask: np.ndarray, region: str, grid: Grid, monitor: ProgressMonitor
) -> tuple[list[Lesion], int]:
    """Return the largest components as lesions, and the number of all components."""
    if not mask.any():
        return [], 0
    from scipy import ndimage

    monitor.step(f"Finding the lesions of {region}")
    region_box = bounding_box(mask)
    parts, count = ndimage.label(mask[region_box], np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(parts)
    largest = np.argsort(-sizes, kind="stable")[:MOST]
    lesions = []
    for rank, k in enumerate(largest.tolist()):
        monitor.step(f"Measuring the lesions of {region}", rank, len(largest))
        component = parts[boxes[k]] == k + 1
        z, y, x = (
            slice(a.start + int(b.start), a.stop + int(b.start))
            for a, b in zip(boxes[k], region_box, strict=True)
        )
        lesions.append(_measure_lesion(region, component, (z, y, x), grid))
    return lesions, int(count)


def _measure_lesion(region: str, mask: np.ndarray, box: Box, grid: Grid) -> Lesion:
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
        diameters=axial_diameters(mask, crop_grid_to_box(grid, box)),
    )


def _summary(
    region: str,
    mask: np.ndarray,
    lesions: list[Lesion],
    count: int,
    grid: Grid,
    segmentation: Segmentation | None,
) -> RegionSummary:
    probabilities = segmentor_probabilities(segmentation, region) if segmentation else {}
    masks = {name: values >= THRESHOLD for name, values in probabilities.items()}
    overlaps = [dice(a, b) for a, b in combinations(masks.values(), 2)]
    products = sorted(x.diameters.product_mm2 for x in lesions if x.diameters.measurable)
    ml = segmentation.model_input.grid.voxel_ml if segmentation else 0.0
    has_lesions = segmentation is not None and count > 0
    sampled = segmentation.uncertainty if segmentation is not None else None
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
        sum_of_products_mm2=float(sum(products[-_MAX_TARGETS:])),
        uncertainty=mean_uncertainty(segmentation, region, mask)
        if segmentation is not None and has_lesions
        else None,
        spread_ml=sampled.volume_spread_ml(region) if sampled is not None else None,
        agreement=float(np.mean(overlaps)) if overlaps else None,
        segmentor_ml={name: float(np.count_nonzero(m) * ml) for name, m in masks.items()},
    )
