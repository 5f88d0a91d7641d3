"""What speaks for a lesion and against it: probability, segmentors, size, place."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_ciml.cases.geometry import Grid, resample
from napari_ciml.decomposition.model import Region
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.inference.uncertainty_maps import entropy, segmentor_probabilities
from napari_ciml.lesions.lesion import Lesion
from napari_ciml.metrics.diameters import bounding_box, crop_grid_to_box
from napari_ciml.progress import ProgressMonitor

_SPECK_ML = 0.1
_IMPROBABLE = 0.7


def add_model_evidence(
    lesions: list[Lesion],
    mask: np.ndarray,
    grid: Grid,
    segmentation: Segmentation | None,
    monitor: ProgressMonitor,
) -> list[Lesion]:
    """Add what a segmentation says of each lesion of one region."""
    if segmentation is None or not lesions:
        return lesions

    region, whole = lesions[0].region, bounding_box(mask)
    probability = segmentation.probabilities[region]
    here, there = crop_grid_to_box(grid, whole), segmentation.model_input.grid
    said = {}
    for name, values in segmentor_probabilities(segmentation, region).items():
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
                uncertainty=mean_uncertainty(segmentation, region, lesion.mask, lesion.box),
                seen_by={n: float(v[z, y, x][lesion.mask].mean()) for n, v in said.items()},
            )
        )
    return result


def mean_uncertainty(
    segmentation: Segmentation, region: str, mask: np.ndarray, box: tuple[slice, ...] = ()
) -> float:
    """Return the mean entropy in bits within a mask of a box; that of a whole volume is gigabytes.

    Parameters
    ----------
    segmentation : Segmentation
        Of the case.
    region : str
        Whose probability.
    mask : numpy.ndarray
        (Z, Y, X) bool, of the box.
    box : tuple of slice
        Part of the case grid; by default all of it.
    """
    sampled = segmentation.uncertainty
    if sampled is not None:
        return float(sampled.entropy[region][box][mask].mean())
    return float(entropy(segmentation.probabilities[region][box][mask]).mean())


def with_reasons(lesion: Lesion, labels: np.ndarray, regions: Sequence[Region]) -> Lesion:
    """Add why a lesion should be looked at."""
    reasons = []
    blind = [name for name, share in lesion.seen_by.items() if share < THRESHOLD]
    if blind and len(blind) == len(lesion.seen_by):
        reasons.append("predicted by no segmentor")
    else:
        reasons += [f"not predicted by {name} ({lesion.seen_by[name]:.0%})" for name in blind]
    if lesion.probability is not None and lesion.probability < _IMPROBABLE:
        reasons.append(f"low mean probability ({lesion.probability:.2f})")
    if lesion.volume_ml < _SPECK_ML:
        reasons.append(f"smaller than {_SPECK_ML:g} mL")
    if any(s.start == 0 or s.stop == n for s, n in zip(lesion.box, labels.shape, strict=True)):
        reasons.append("cut off by the image border")
    outer = max(regions, key=lambda region: len(region.labels))
    if lesion.region != outer.name and not _has_company(lesion, labels):
        reasons.append(f"outside of {outer.name}")
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
