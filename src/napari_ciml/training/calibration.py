"""Choosing how a network's output is finished, on cases it was not trained on."""

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
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.metrics import dice
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.checkpoint_info import PostprocessingSettings
from napari_ciml.progress import ProgressMonitor

_VOLUMES_ML = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_FRACTIONS = (0.0, 0.02, 0.05, 0.1, 0.2)
_LEAST = 1e-6
_BINS = 15


@dataclass(frozen=True)
class CalibrationCase:
    """A case with what a network made of it.

    Parameters
    ----------
    probabilities : mapping of str to numpy.ndarray
        By region, (Z, Y, X) float32.
    references : mapping of str to numpy.ndarray
        By region, (Z, Y, X) bool.
    inside : numpy.ndarray
        The foreground, (Z, Y, X) bool: only there does calibration count.
    voxel_ml : float
        Volume of a voxel in millilitres.
    """

    probabilities: Mapping[str, np.ndarray]
    references: Mapping[str, np.ndarray]
    inside: np.ndarray
    voxel_ml: float


def predict_for_calibration(
    cases: Sequence[LabelledCase], checkpoint: Checkpoint, device: str, monitor: ProgressMonitor
) -> list[CalibrationCase]:
    """Segment cases and set the plain probabilities beside the reference, in the model's space.

    Raises
    ------
    InputError
        If a case cannot be used.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    whole = checkpoint.info.decomposition
    found = []
    for done, labelled in enumerate(cases):
        monitor.step("Calibrating", done, len(cases))
        case = labelled.open(whole.input_modalities)
        result = segment(case, checkpoint, settings=SegmentSettings(device=device, engine="torch"))
        seen = result.model_input
        labels = read_label_map(labelled.reference, case)
        references = region_masks(labels_to_model_space(labels, seen.grid, case), whole.regions)
        probabilities = ensemble(result.pair_probabilities, result.plan)
        found.append(
            CalibrationCase(probabilities, references, seen.foreground, seen.grid.voxel_ml)
        )
    return found


def fit_postprocessing(cases: Sequence[CalibrationCase]) -> PostprocessingSettings:
    """Choose temperatures by likelihood, the rest by mean Dice: only what helps is chosen."""
    regions = list(cases[0].references)
    volumes = {region: _smallest(cases, region) for region in regions}
    return PostprocessingSettings(
        temperatures={region: _temperature(cases, region) for region in regions},
        min_component_ml=volumes,
        min_component_fraction={
            region: _smallest_fraction(cases, region, volumes[region]) for region in regions
        },
        fill_holes=tuple(
            region
            for region in regions
            if _mean_dice(cases, region, PostprocessingSettings(fill_holes=(region,)))
            > _mean_dice(cases, region, PostprocessingSettings())
        ),
    )


def calibration_error(
    cases: Sequence[CalibrationCase], region: str, finish: PostprocessingSettings | None = None
) -> float:
    """Return the expected calibration error of a region's probability over all foregrounds.

    Fifteen bins of equal width; each counts by the voxels in it.
    """
    values, truth = _voxels(cases, region)
    if finish is not None:
        values = apply_temperature({region: values}, finish.temperatures)[region]
    where = np.minimum((values * _BINS).astype(int), _BINS - 1)
    count = np.bincount(where, minlength=_BINS)
    said = np.bincount(where, values, minlength=_BINS)
    true = np.bincount(where, truth, minlength=_BINS)
    return float(np.abs(said - true).sum() / count.sum())


def _voxels(cases: Sequence[CalibrationCase], region: str) -> tuple[np.ndarray, np.ndarray]:
    values = np.concatenate([case.probabilities[region][case.inside] for case in cases])
    truth = np.concatenate([case.references[region][case.inside] for case in cases])
    return values, truth


def _temperature(cases: Sequence[CalibrationCase], region: str) -> float:
    values, truth = _voxels(cases, region)
    if not truth.any():
        return 1.0
    inside = np.clip(values.astype(np.float64), _LEAST, 1 - _LEAST)
    logits = np.log(inside / (1 - inside)) * np.where(truth, 1, -1)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -logits / np.exp(log_temperature)).mean())

    return round(float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)), 3)


def _smallest(cases: Sequence[CalibrationCase], region: str) -> float:
    scores = [
        _mean_dice(cases, region, PostprocessingSettings(min_component_ml={region: volume}))
        for volume in _VOLUMES_ML
    ]
    return _VOLUMES_ML[int(np.argmax(scores))]


def _smallest_fraction(cases: Sequence[CalibrationCase], region: str, volume: float) -> float:
    scores = [
        _mean_dice(
            cases,
            region,
            PostprocessingSettings(
                min_component_ml={region: volume}, min_component_fraction={region: fraction}
            ),
        )
        for fraction in _FRACTIONS
    ]
    return _FRACTIONS[int(np.argmax(scores))]


def _mean_dice(
    cases: Sequence[CalibrationCase], region: str, finish: PostprocessingSettings
) -> float:
    scores = []
    for case in cases:
        masks = remove_small_and_fill_holes(
            {region: case.probabilities[region] >= 0.5}, finish, case.voxel_ml
        )
        scores.append(dice(masks[region], case.references[region]))
    return float(np.mean(scores))
