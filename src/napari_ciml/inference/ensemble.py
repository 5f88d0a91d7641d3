"""From the probabilities of pairs on the model's grid to the answer on the case grid."""

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
    """The answer on the case grid; fields are as in `Segmentation`."""

    label_map: np.ndarray
    probabilities: dict[str, np.ndarray]
    volumes_ml: dict[str, float]


def ensemble(pairs: Mapping[Pair, np.ndarray], plan: InferencePlan) -> dict[str, np.ndarray]:
    """Average a region's probability over the pairs that predict it (section 4.1.1), by weight.

    Raises
    ------
    CimlError
        If the network gave a pair values that are not finite numbers.
    """
    for pair, values in pairs.items():
        _require_finite(pair, values)
    return {
        name: _mean({pair: v for pair, v in pairs.items() if pair.region == name}, plan)
        for name in plan.decomposition.region_names
    }


def resample_to_case(
    probabilities: Mapping[str, np.ndarray],
    seen: PreprocessedCase,
    case: Case,
    finish: PostprocessingSettings,
    monitor: ProgressMonitor,
) -> dict[str, np.ndarray]:
    """Bring regions' probabilities onto the case grid, and calibrate them."""

    def place(name: str) -> np.ndarray:
        inside = np.where(seen.foreground, probabilities[name], np.float32(0))
        placed = {name: to_case_grid(inside, seen.grid, case)}
        return apply_temperature(placed, finish.temperatures)[name]

    names = tuple(probabilities)
    found = map_in_threads(place, names, monitor, "Placing on the case")
    return dict(zip(names, found, strict=True))


def assemble(
    probabilities: dict[str, np.ndarray],
    plan: InferencePlan,
    case: Case,
    finish: PostprocessingSettings,
    settings: SegmentSettings,
) -> EnsembledSegmentation:
    """Turn regions' probabilities on the case grid into a label map and volumes.

    Masks are made here and not on the model's grid, so that none moves: between voxels, sigmoids
    of logits do not mix. Regions are nested before small components are removed, and after.
    """
    masks = {name: values >= settings.threshold(name) for name, values in probabilities.items()}
    regions = plan.decomposition.regions
    masks = nest_regions(masks, regions)
    if settings.postprocess:
        cleaned = remove_small_and_fill_holes(masks, finish, case.grid.voxel_ml)
        masks = nest_regions(cleaned, regions)
    labels = label_map(masks, regions)
    final = region_masks(labels, regions)
    volumes = {name: float(mask.sum() * case.grid.voxel_ml) for name, mask in final.items()}
    return EnsembledSegmentation(labels, probabilities, volumes)


def _require_finite(pair: Pair, values: np.ndarray) -> None:
    if not np.isfinite(values.sum(dtype=np.float64)):
        raise CimlError(
            f"The network's probabilities of {pair.region} from {pair.primary} are not finite "
            "numbers, so there is no result; check the checkpoint, or segment with --engine torch."
        )


def _mean(values: Mapping[Pair, np.ndarray], plan: InferencePlan) -> np.ndarray:
    weights = {pair: plan.weight(pair) for pair in values}
    if len(set(weights.values())) == 1:
        return np.asarray(np.mean(list(values.values()), axis=0))
    total = sum(
        np.float32(weights[pair]) * value for pair, value in values.items() if weights[pair]
    )
    return np.asarray(total / np.float32(sum(weights.values())))
