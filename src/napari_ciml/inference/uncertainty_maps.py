"""Uncertainty maps of a segmentation: entropy, disagreement of segmentors, spread of samples."""

from collections.abc import Collection
from typing import Literal

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.preprocessing import to_case_grid
from napari_ciml.inference.result import Segmentation

UncertaintyKind = Literal["disagreement", "uncertainty", "spread"]

LARGEST: dict[UncertaintyKind, float] = {"disagreement": 0.5, "uncertainty": 1.0, "spread": 0.5}
"""Largest possible value by kind: of a standard deviation in [0, 1], of an entropy in bits."""


def segmentor_probabilities(segmentation: Segmentation, region: str) -> dict[str, np.ndarray]:
    """Return a region's probability by segmentor, (z, y, x) on the model grid.

    Segmentors with weight 0 in the region's ensemble are left out; probabilities are 0 outside of
    the foreground.
    """
    foreground = segmentation.model_input.foreground
    return {
        pair.primary: np.where(foreground, values, np.float32(0))
        for pair, values in segmentation.pair_probabilities.items()
        if pair.region == region and segmentation.plan.weight(pair)
    }


def disagreement(probabilities: Collection[np.ndarray]) -> np.ndarray:
    """Return the standard deviation over the probabilities of several segmentors."""
    return np.asarray(np.std(list(probabilities), axis=0))


def entropy(probability: np.ndarray) -> np.ndarray:
    """Return the entropy of a Bernoulli distribution in bits: 0 at p = 0 and 1, 1 at p = 0.5.

    Parameters
    ----------
    probability : numpy.ndarray
        Probabilities in [0, 1], any shape.

    Returns
    -------
    numpy.ndarray
        float32, same shape.
    """
    result = np.zeros(probability.shape, np.float32)
    uncertain = (probability > 0) & (probability < 1)  # most of a volume is background
    p = probability[uncertain].astype(np.float64)
    result[uncertain] = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return result


def uncertainty_map(
    segmentation: Segmentation, case: Case, region: str, kind: UncertaintyKind
) -> np.ndarray | None:
    """Return the uncertainty of a region by voxel.

    Parameters
    ----------
    segmentation : Segmentation
        Segmentation of the case.
    case : Case
        Gives the case grid.
    region : str
        Name of the region.
    kind : {"disagreement", "uncertainty", "spread"}
        ``disagreement``: standard deviation over the segmentors of the region; ``uncertainty``:
        entropy of its probability in bits, of the mean over samples if kappa was sampled;
        ``spread``: standard deviation over samples of kappa.

    Returns
    -------
    numpy.ndarray or None
        (Z, Y, X) float32 from 0 to `LARGEST`; None for the disagreement of a single segmentor, or
        for the spread if kappa was not sampled.
    """
    sampled = segmentation.uncertainty
    if kind == "spread":
        return sampled.spread[region] if sampled is not None else None
    if kind == "uncertainty":
        return entropy_map(segmentation, region)
    probabilities = segmentor_probabilities(segmentation, region)
    if len(probabilities) < 2:
        return None
    grid = segmentation.model_input.grid
    return to_case_grid(disagreement(probabilities.values()), grid, case)


def entropy_map(segmentation: Segmentation, region: str) -> np.ndarray:
    """Return the entropy of a region's probability in bits, (Z, Y, X) float32."""
    if segmentation.uncertainty is not None:
        return segmentation.uncertainty.entropy[region]
    return entropy(segmentation.probabilities[region])
