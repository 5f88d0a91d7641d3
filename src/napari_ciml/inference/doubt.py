"""How sure a segmentation is: disagreement between segmentors, entropy; all from 0 to 1."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.model_space import to_case_grid

if TYPE_CHECKING:
    from napari_ciml.inference.segment import Segmentation

Doubt = Literal["disagreement", "uncertainty"]

HALF = 0.5
"""A segmentor counts a voxel to a region from this probability on."""


def segmentors_of(segmentation: "Segmentation", region: str) -> dict[str, np.ndarray]:
    """Return what each segmentor says of a region: by its name, (z, y, x) on the model's grid."""
    inside = segmentation.model_input.foreground
    return {
        pair.primary: np.where(inside, values, np.float32(0))
        for pair, values in segmentation.pairs.items()
        if pair.region == region
    }


def disagreement(probabilities: Collection[np.ndarray]) -> np.ndarray:
    """Return by how much the probabilities of several segmentors differ at most."""
    every = np.stack(list(probabilities))
    return np.asarray(every.max(axis=0) - every.min(axis=0))


def entropy(probability: np.ndarray) -> np.ndarray:
    """Return the entropy of a probability in bits: 0 where it is 0 or 1, 1 where it is 0.5."""
    result = np.zeros(probability.shape, np.float32)
    some = (probability > 0) & (probability < 1)  # most of a volume is background
    p = probability[some].astype(np.float64)
    result[some] = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return result


def doubt_about(
    segmentation: "Segmentation", case: Case, region: str, kind: Doubt
) -> np.ndarray | None:
    """Return how unsure a segmentation is of a region, voxel by voxel.

    Parameters
    ----------
    segmentation : Segmentation
        Of the case.
    case : Case
        Gives the grid.
    region : str
        Its name.
    kind : str
        ``disagreement`` between the segmentors, or ``uncertainty``: the entropy of the
        region's calibrated probability.

    Returns
    -------
    numpy.ndarray or None
        (Z, Y, X) float32 from 0 to 1; None if a single segmentor cannot disagree.
    """
    if kind == "uncertainty":
        return entropy(segmentation.probabilities[region])
    said = segmentors_of(segmentation, region)
    if len(said) < 2:
        return None
    return to_case_grid(disagreement(said.values()), segmentation.model_input.grid, case)
