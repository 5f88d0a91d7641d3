"""Model evidence for lesions, and reasons to review them."""

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

_SMALL_ML = 0.1
_LOW_PROBABILITY = 0.7


def add_model_evidence(
    lesions: list[Lesion],
    mask: np.ndarray,
    grid: Grid,
    segmentation: Segmentation | None,
    monitor: ProgressMonitor,
) -> list[Lesion]:
    """Add probability, uncertainty and segmentor agreement to the lesions of one region.

    ``mask`` is the mask of the region, (Z, Y, X) bool on ``grid``.
    """
    if segmentation is None or not lesions:
        return lesions

    region, region_box = lesions[0].region, bounding_box(mask)
    probability = segmentation.probabilities[region]
    box_grid, model_grid = crop_grid_to_box(grid, region_box), segmentation.model_input.grid
    predictions = {}
    for name, values in segmentor_probabilities(segmentation, region).items():
        monitor.step(f"Comparing {region} with the prediction of {name}")
        predictions[name] = resample(values, model_grid, box_grid) >= THRESHOLD
    result = []
    for lesion in lesions:
        inside = probability[lesion.box][lesion.mask]
        z, y, x = (
            slice(b.start - w.start, b.stop - w.start)
            for b, w in zip(lesion.box, region_box, strict=True)
        )
        result.append(
            replace(
                lesion,
                probability=float(inside.mean()),
                uncertainty=mean_uncertainty(segmentation, region, lesion.mask, lesion.box),
                seen_by={
                    name: float(prediction[z, y, x][lesion.mask].mean())
                    for name, prediction in predictions.items()
                },
            )
        )
    return result


def mean_uncertainty(
    segmentation: Segmentation, region: str, mask: np.ndarray, box: tuple[slice, ...] = ()
) -> float:
    """Return the mean entropy in bits within a mask; it is computed in a box to save memory.

    Parameters
    ----------
    segmentation : Segmentation
        Segmentation of the case.
    region : str
        Name of the region.
    mask : numpy.ndarray
        (Z, Y, X) bool in the box.
    box : tuple of slice
        Part of the case grid; by default all of it.
    """
    sampled = segmentation.uncertainty
    if sampled is not None:
        return float(sampled.entropy[region][box][mask].mean())
    return float(entropy(segmentation.probabilities[region][box][mask]).mean())


def with_reasons(lesion: Lesion, labels: np.ndarray, regions: Sequence[Region]) -> Lesion:
    """Add the reasons to review a lesion."""
    reasons = []
    blind = [name for name, fraction in lesion.seen_by.items() if fraction < THRESHOLD]
    if blind and len(blind) == len(lesion.seen_by):
        reasons.append("predicted by no segmentor")
    else:
        reasons += [f"not predicted by {name} ({lesion.seen_by[name]:.0%})" for name in blind]
    if lesion.probability is not None and lesion.probability < _LOW_PROBABILITY:
        reasons.append(f"low mean probability ({lesion.probability:.2f})")
    if lesion.volume_ml < _SMALL_ML:
        reasons.append(f"smaller than {_SMALL_ML:g} mL")
    if any(s.start == 0 or s.stop == n for s, n in zip(lesion.box, labels.shape, strict=True)):
        reasons.append("cut off by the image border")
    outer = max(regions, key=lambda region: len(region.labels))
    if lesion.region != outer.name and not _touches_other_label(lesion, labels):
        reasons.append(f"outside of {outer.name}")
    return replace(lesion, reasons=tuple(reasons))


def _touches_other_label(lesion: Lesion, labels: np.ndarray) -> bool:
    """Whether a label outside of a lesion touches it."""
    from scipy import ndimage

    wide = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in lesion.box)
    pads = [
        (s.start - w.start, min(w.stop, n) - s.stop)
        for s, w, n in zip(lesion.box, wide, labels.shape, strict=True)
    ]
    mask = np.pad(lesion.mask, pads)
    shell = ndimage.binary_dilation(mask, np.ones((3, 3, 3))) & ~mask
    return bool(labels[wide][shell].any())
