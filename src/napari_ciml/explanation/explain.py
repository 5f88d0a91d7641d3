"""Explanation of a segmentation: the one call that the widgets and the command line share."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.lazy_volumes import LazyResampledVolumes
from napari_ciml.cases.preprocessing import voxels_to_model_space
from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.gradcam import complementary_maps
from napari_ciml.explanation.result import Explanation, Triple
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.postprocessing import apply_temperature
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.runtime import Runtime, run_with_oom_fallback
from napari_ciml.inference.segment import require_same_checkpoint
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor


def explain(
    case: Case,
    checkpoint: Checkpoint,
    segmentation: Segmentation,
    monitor: ProgressMonitor | None = None,
    asked: Mapping[str, np.ndarray] | None = None,
) -> Explanation:
    """Explain a segmentation: every primary-region-auxiliary triple of its plan, in one run.

    It starts from the messages that the segmentation kept, where they were computed.

    Parameters
    ----------
    case : Case
        The segmented case.
    checkpoint : Checkpoint
        The one that segmented it.
    segmentation : Segmentation
        Its predicted regions are the voxels asked about, if nothing else is.
    monitor : Monitor, optional
        Hears progress and fall-backs, can cancel within one tile.
    asked : mapping of str to numpy.ndarray, optional
        By region, the voxels asked about, (Z, Y, X) bool on the case grid: one lesion, one voxel.
        Only the pairs of these regions are explained.

    Raises
    ------
    CheckpointError
        If it is another checkpoint.
    DeviceError, CancelledError
        As `segment`.
    """
    monitor = monitor or ProgressMonitor()
    require_same_checkpoint(checkpoint, segmentation, case)
    seen, plan = segmentation.model_input, segmentation.plan
    if asked is None:
        targets = _predicted(segmentation, checkpoint)
        empty = "No {} was found, so nothing explains it."
    else:
        grid = seen.grid
        targets = {name: voxels_to_model_space(mask, grid, case) for name, mask in asked.items()}
        empty = "The voxels asked about {} lie outside of what the network saw."
        plan = replace(plan, pairs=tuple(pair for pair in plan.pairs if pair.region in asked))
    targets = {name: mask & seen.foreground for name, mask in targets.items()}

    def run(where: Runtime) -> dict[Triple, np.ndarray]:
        kept = segmentation.cache if where is segmentation.cache.workspace else None
        return complementary_maps(checkpoint, seen.images, targets, plan, where, monitor, kept)

    where, shape = segmentation.cache.workspace, seen.foreground.shape
    maps, _ = run_with_oom_fallback(run, where, shape, checkpoint.info, monitor)
    maps = {triple: zeta * seen.foreground for triple, zeta in maps.items()}
    peaks = {triple: float(zeta.max()) for triple, zeta in maps.items()}
    largest = max(peaks.values(), default=0.0)
    return Explanation(
        maps=LazyResampledVolumes(maps, seen.grid, case.grid, 1 / (largest or 1.0)),
        weights=complementary_weights(maps, targets),
        scale=largest,
        strongest=max(peaks, key=peaks.__getitem__) if largest > 0 else None,
        notices=tuple(empty.format(name) for name, mask in targets.items() if not mask.any()),
    )


def _predicted(segmentation: Segmentation, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Return where each region is predicted, on the model's grid."""
    whole = ensemble(segmentation.pair_probabilities, segmentation.plan)
    probabilities = apply_temperature(whole, checkpoint.info.postprocessing.temperatures)
    threshold = segmentation.settings.threshold
    return {name: values >= threshold(name) for name, values in probabilities.items()}


def complementary_weights(
    maps: Mapping[Triple, np.ndarray], asked: Mapping[str, np.ndarray]
) -> dict[Triple, float]:
    """Compute varpi of eq. 16 from the maps of all pairs, summed over the voxels asked about.

    The paper sums over the whole volume. Most of a map may lie far from its region, where a message
    speaks of healthy tissue; what it says there costs the region nothing when it is muted.

    Parameters
    ----------
    maps : mapping of (Pair, str) to numpy.ndarray
        Zeta of eq. 14, (Z, Y, X).
    asked : mapping of str to numpy.ndarray
        By region, the voxels asked about, (Z, Y, X) bool.

    Returns
    -------
    dict of (Pair, str) to float
        They sum to 1 over a pair's auxiliaries; NaN where all of a pair's maps are zero there.
    """
    sums = {
        (pair, auxiliary): float(zeta[asked[pair.region]].sum(dtype=np.float64))
        for (pair, auxiliary), zeta in maps.items()
    }
    totals: dict[Pair, float] = {}
    for (pair, _), value in sums.items():
        totals[pair] = totals.get(pair, 0.0) + value
    return {
        (pair, auxiliary): value / totals[pair] if totals[pair] > 0 else float("nan")
        for (pair, auxiliary), value in sums.items()
    }
