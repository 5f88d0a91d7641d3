"""Fit temperature scaling and postprocessing on cases that were not trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.preprocessing import labels_to_model_space
from napari_ciml.cases.writing import read_label_map
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.postprocessing import apply_temperature, remove_small_and_fill_holes
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import THRESHOLD, SegmentSettings
from napari_ciml.metrics import dice
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.checkpoint_info import PostprocessingSettings
from napari_ciml.progress import ProgressMonitor

_VOLUMES_ML = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Candidates for the smallest component that is kept."""

_FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.2)
"""Candidates for its volume, relative to the largest component."""

_EPSILON = 1e-6
_BINS = 15


@dataclass(frozen=True)
class CalibrationCase:
    """Prediction and reference of a case in the model's space.

    Parameters
    ----------
    probabilities : mapping of str to numpy.ndarray
        Uncalibrated probability by region, (Z, Y, X) float32.
    references : mapping of str to numpy.ndarray
        Reference mask by region, (Z, Y, X) bool.
    foreground : numpy.ndarray
        Foreground mask, (Z, Y, X) bool; calibration is measured inside it only.
    voxel_ml : float
        Volume of a voxel in millilitres.
    """

    probabilities: Mapping[str, np.ndarray]
    references: Mapping[str, np.ndarray]
    foreground: np.ndarray
    voxel_ml: float


def predict_for_calibration(
    cases: Sequence[LabelledCase], checkpoint: Checkpoint, device: str, monitor: ProgressMonitor
) -> list[CalibrationCase]:
    """Segment cases and return uncalibrated probabilities with the references.

    Raises
    ------
    InputError
        If a case cannot be used.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    decomposition = checkpoint.info.decomposition
    settings = SegmentSettings(device=device, engine="torch")
    calibration_cases = []
    for k, labelled in enumerate(cases):
        monitor.step("Calibrating", k, len(cases))
        case = labelled.open(decomposition.input_modalities)
        result = segment(case, checkpoint, settings=settings)
        model_input = result.model_input
        labels = read_label_map(labelled.reference, case)
        labels = labels_to_model_space(labels, model_input.grid, case)
        calibration_cases.append(
            CalibrationCase(
                ensemble(result.pair_probabilities, result.plan),
                region_masks(labels, decomposition.regions),
                model_input.foreground,
                model_input.grid.voxel_ml,
            )
        )
    return calibration_cases


def fit_postprocessing(cases: Sequence[CalibrationCase]) -> PostprocessingSettings:
    """Fit temperatures by likelihood; choose component removal and hole filling by mean Dice."""
    regions = list(cases[0].references)
    volumes = {region: _min_component_ml(cases, region) for region in regions}
    return PostprocessingSettings(
        temperatures={region: _temperature(cases, region) for region in regions},
        min_component_ml=volumes,
        min_component_fraction={
            region: _min_component_fraction(cases, region, volumes[region]) for region in regions
        },
        fill_holes=tuple(
            region
            for region in regions
            if _mean_dice(cases, region, PostprocessingSettings(fill_holes=(region,)))
            > _mean_dice(cases, region, PostprocessingSettings())
        ),
    )


def calibration_error(
    cases: Sequence[CalibrationCase],
    region: str,
    postprocessing: PostprocessingSettings | None = None,
) -> float:
    """Return the expected calibration error of a region over the foreground of all cases.

    Computed with 15 bins of equal width, weighted by their number of voxels; with the temperature
    of ``postprocessing`` if given.
    """
    values, truth = _foreground_values(cases, region)
    if postprocessing is not None:
        values = apply_temperature({region: values}, postprocessing.temperatures)[region]
    bins = np.minimum((values * _BINS).astype(int), _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    predicted = np.bincount(bins, values, minlength=_BINS)
    observed = np.bincount(bins, truth, minlength=_BINS)
    return float(np.abs(predicted - observed).sum() / count.sum())


def _foreground_values(
    cases: Sequence[CalibrationCase], region: str
) -> tuple[np.ndarray, np.ndarray]:
    values = np.concatenate([case.probabilities[region][case.foreground] for case in cases])
    truth = np.concatenate([case.references[region][case.foreground] for case in cases])
    return values, truth


def _temperature(cases: Sequence[CalibrationCase], region: str) -> float:
    values, truth = _foreground_values(cases, region)
    if not truth.any():
        return 1.0
    clipped = np.clip(values.astype(np.float64), _EPSILON, 1 - _EPSILON)
    logits = np.log(clipped / (1 - clipped)) * np.where(truth, 1, -1)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -logits / np.exp(log_temperature)).mean())

    return round(float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)), 3)


def _min_component_ml(cases: Sequence[CalibrationCase], region: str) -> float:
    scores = [
        _mean_dice(cases, region, PostprocessingSettings(min_component_ml={region: volume}))
        for volume in _VOLUMES_ML
    ]
    return _VOLUMES_ML[int(np.argmax(scores))]


def _min_component_fraction(
    cases: Sequence[CalibrationCase], region: str, volume_ml: float
) -> float:
    candidates = [
        PostprocessingSettings(
            min_component_ml={region: volume_ml}, min_component_fraction={region: fraction}
        )
        for fraction in _FRACTIONS
    ]
    scores = [_mean_dice(cases, region, postprocessing) for postprocessing in candidates]
    return _FRACTIONS[int(np.argmax(scores))]


def _mean_dice(
    cases: Sequence[CalibrationCase], region: str, postprocessing: PostprocessingSettings
) -> float:
    scores = []
    for case in cases:
        masks = {region: case.probabilities[region] >= THRESHOLD}
        masks = remove_small_and_fill_holes(masks, postprocessing, case.voxel_ml)
        scores.append(dice(masks[region], case.references[region]))
    return float(np.mean(scores))
