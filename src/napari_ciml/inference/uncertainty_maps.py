"""How sure a segmentation is, as layers and figures show it."""

from collections.abc import Collection
from typing import Literal

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.preprocessing import to_case_grid
from napari_ciml.inference.result import Segmentation

UncertaintyKind = Literal["disagreement", "uncertainty", "spread"]

LARGEST: dict[UncertaintyKind, float] = {"disagreement": 0.5, "uncertainty": 1.0, "spread": 0.5}
"""The largest value of each kind: of a standard deviation in [0, 1], of an entropy in bits."""


def segmentor_probabilities(segmentation: Segmentation, region: str) -> dict[str, np.ndarray]:
    """Return what each segmentor says of a region: by its name, (z, y, x) on the model's grid."""
    inside = segmentation.model_input.foreground
    return {
        pair.primary: np.where(inside, values, np.float32(0))
        for pair, values in segmentation.pair_probabilities.items()
        if pair.region == region and segmentation.plan.weight(pair)
    }


def disagreement(probabilities: Collection[np.ndarray]) -> np.ndarray:
    """Return the standard deviation over the probabilities of several segmentors."""
    return np.asarray(np.std(list(probabilities), axis=0))


def entropy(probability: np.ndarray) -> np.ndarray:
    """Return the entropy of a probability in bits: 0 where it is 0 or 1, 1 where it is 0.5."""
    result = np.zeros(probability.shape, np.float32)
    some = (probability > 0) & (probability < 1)  # most of a volume is background
    p = probability[some].astype(np.float64)
    result[some] = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return result


def uncertainty_map(
    segmentation: Segmentation, case: Case, region: str, kind: UncertaintyKind
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
        ``disagreement``: standard deviation over the segmentors of the region; ``uncertainty``:
        entropy of its probability in bits, of the mean over samples if there are some; ``spread``:
        standard deviation over samples of kappa.

    Returns
    -------
    numpy.ndarray or None
        (Z, Y, X) float32 from 0 to `LARGEST`; None if a single segmentor cannot disagree, or
        nothing was sampled.
    """
    sampled = segmentation.uncertainty
    if kind == "spread":
        return sampled.spread[region] if sampled is not None else None
    if kind == "uncertainty":
        return uncertainty_of(segmentation, region)
    said = segmentor_probabilities(segmentation, region)
    if len(said) < 2:
        return None
    return to_case_grid(disagreement(said.values()), segmentation.model_input.grid, case)


def uncertainty_of(segmentation: Segmentation, region: str) -> np.ndarray:
    """Return the entropy of a region's probability in bits, (Z, Y, X) float32."""
    if segmentation.uncertainty is not None:
        return segmentation.uncertainty.entropy[region]
    return entropy(segmentation.probabilities[region])
