"""From the probabilities of pairs on the model grid to a label map on the case grid."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import label_map, nest_regions, region_masks
from napari_ciml.cases.preprocessing import PreprocessedCase, to_case_grid
from napari_ciml.decomposition.model import Pair
from napari_ciml.errors import CimlError
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.postprocessing import apply_temperature, remove_small_and_fill_holes
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint_info import PostprocessingSettings
from napari_ciml.parallel import map_in_threads
from napari_ciml.progress import ProgressMonitor


@dataclass(frozen=True)
class EnsembledSegmentation:
    """Label map, probabilities and volumes on the case grid, as in `Segmentation`."""

    label_map: np.ndarray
    probabilities: dict[str, np.ndarray]
    volumes_ml: dict[str, float]


def ensemble(pairs: Mapping[Pair, np.ndarray], plan: InferencePlan) -> dict[str, np.ndarray]:
    """Return each region's weighted mean over the pairs that predict it (section 4.1.1).

    Parameters
    ----------
    pairs : mapping of Pair to numpy.ndarray
        Probabilities of pairs, (z, y, x) float32.
    plan : InferencePlan
        Regions and ensemble weights.

    Raises
    ------
    CimlError
        If probabilities are not finite numbers.
    """
    for pair, values in pairs.items():
        _require_finite(pair, values)
    return {
        name: _weighted_mean({pair: v for pair, v in pairs.items() if pair.region == name}, plan)
        for name in plan.decomposition.region_names
    }


def resample_to_case(
    probabilities: Mapping[str, np.ndarray],
    model_input: PreprocessedCase,
    case: Case,
    postprocessing: PostprocessingSettings,
    monitor: ProgressMonitor,
) -> dict[str, np.ndarray]:
    """Resample regions' probabilities to the case grid and calibrate them.

    Parameters
    ----------
    probabilities : mapping of str to numpy.ndarray
        By region, (z, y, x) float32 on the model grid.
    model_input : PreprocessedCase
        Gives the model grid and its foreground; probabilities are 0 outside of it.
    case : Case
        Gives the case grid.
    postprocessing : PostprocessingSettings
        Temperatures.
    monitor : ProgressMonitor
        Receives progress by region.
    """

    def resample(name: str) -> np.ndarray:
        masked = np.where(model_input.foreground, probabilities[name], np.float32(0))
        resampled = {name: to_case_grid(masked, model_input.grid, case)}
        return apply_temperature(resampled, postprocessing.temperatures)[name]

    names = tuple(probabilities)
    volumes = map_in_threads(resample, names, monitor, "Mapping to the case grid:")
    return dict(zip(names, volumes, strict=True))


def assemble(
    probabilities: dict[str, np.ndarray],
    plan: InferencePlan,
    case: Case,
    postprocessing: PostprocessingSettings,
    settings: SegmentSettings,
) -> EnsembledSegmentation:
    """Threshold regions' probabilities on the case grid; compute label map and volumes.

    The threshold is applied here and not on the model grid, where masks would have to be resampled.
    Regions are nested before small components are removed, and again afterwards.

    Parameters
    ----------
    probabilities : dict of str to numpy.ndarray
        By region, (Z, Y, X) float32.
    plan : InferencePlan
        Regions and their labels.
    case : Case
        Gives the voxel volume.
    postprocessing : PostprocessingSettings
        Smallest components and regions without holes.
    settings : SegmentSettings
        Thresholds, and whether to postprocess.
    """
    masks = {name: values >= settings.threshold(name) for name, values in probabilities.items()}
    regions = plan.decomposition.regions
    masks = nest_regions(masks, regions)
    if settings.postprocess:
        cleaned = remove_small_and_fill_holes(masks, postprocessing, case.grid.voxel_ml)
        masks = nest_regions(cleaned, regions)
    labels = label_map(masks, regions)
    labelled = region_masks(labels, regions)
    volumes = {name: float(mask.sum() * case.grid.voxel_ml) for name, mask in labelled.items()}
    return EnsembledSegmentation(labels, probabilities, volumes)


def _require_finite(pair: Pair, values: np.ndarray) -> None:
    if not np.isfinite(values.sum(dtype=np.float64)):
        raise CimlError(
            f"The network's probabilities of {pair.region} from {pair.primary} are not finite "
            "numbers, so there is no result; check the checkpoint, or segment with --engine torch."
        )


def _weighted_mean(values: Mapping[Pair, np.ndarray], plan: InferencePlan) -> np.ndarray:
    weights = {pair: plan.weight(pair) for pair in values}
    if len(set(weights.values())) == 1:
        return np.asarray(np.mean(list(values.values()), axis=0))
    total = sum(
        np.float32(weights[pair]) * value for pair, value in values.items() if weights[pair]
    )
    return np.asarray(total / np.float32(sum(weights.values())))
