"""Explain a segmentation by complementary-information maps and weights."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.lazy_volumes import LazyResampledVolumes
from napari_ciml.cases.preprocessing import voxels_to_model_space
from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.gradcam import complementary_maps
from napari_ciml.explanation.result import Explanation, Triple
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.context import InferenceContext
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
    targets: Mapping[str, np.ndarray] | None = None,
) -> Explanation:
    """Explain every primary-region-auxiliary triple of a segmentation in one run.

    Features cached by the segmentation are not computed again.

    Parameters
    ----------
    case : Case
        The segmented case.
    checkpoint : Checkpoint
        The checkpoint that segmented it.
    segmentation : Segmentation
        The segmentation to explain.
    monitor : ProgressMonitor, optional
        Receives progress and notices; can cancel within one tile.
    targets : mapping of str to numpy.ndarray, optional
        By region, the target voxels, (Z, Y, X) bool on the case grid: one lesion, one voxel. Only
        pairs of these regions are explained. By default all regions, as predicted.

    Raises
    ------
    CheckpointError
        If the segmentation was made with another checkpoint.
    DeviceError, CancelledError
        As `segment`.
    """
    monitor = monitor or ProgressMonitor()
    require_same_checkpoint(checkpoint, segmentation, case)
    model_input, plan = segmentation.model_input, segmentation.plan
    grid, foreground = model_input.grid, model_input.foreground
    if targets is None:
        masks = _predicted_masks(segmentation, checkpoint)
        notice = "No {} was found, so nothing explains it."
    else:
        masks = {name: voxels_to_model_space(mask, grid, case) for name, mask in targets.items()}
        notice = "The target voxels of {} lie outside of the network's input."
        plan = replace(plan, pairs=tuple(pair for pair in plan.pairs if pair.region in targets))
    masks = {name: mask & foreground for name, mask in masks.items()}

    def attempt(runtime: Runtime) -> dict[Triple, np.ndarray]:
        cache = segmentation.cache
        if runtime is not cache.runtime:
            cache = InferenceCache.disabled(runtime)
        context = InferenceContext(checkpoint, plan, cache, monitor)
        return complementary_maps(context, model_input.images, masks)

    first = segmentation.cache.runtime
    maps, _ = run_with_oom_fallback(attempt, first, foreground.shape, checkpoint.info, monitor)
    maps = {triple: zeta * foreground for triple, zeta in maps.items()}
    peaks = {triple: float(zeta.max()) for triple, zeta in maps.items()}
    scale = max(peaks.values(), default=0.0)
    return Explanation(
        maps=LazyResampledVolumes(maps, grid, case.grid, 1 / (scale or 1.0)),
        weights=complementary_weights(maps, masks),
        scale=scale,
        strongest=max(peaks, key=peaks.__getitem__) if scale > 0 else None,
        notices=tuple(notice.format(name) for name, mask in masks.items() if not mask.any()),
    )


def _predicted_masks(segmentation: Segmentation, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Return the predicted regions on the model grid, before small components are removed."""
    raw = ensemble(segmentation.pair_probabilities, segmentation.plan)
    probabilities = apply_temperature(raw, checkpoint.info.postprocessing.temperatures)
    threshold = segmentation.settings.threshold
    return {name: values >= threshold(name) for name, values in probabilities.items()}


def complementary_weights(
    maps: Mapping[Triple, np.ndarray], targets: Mapping[str, np.ndarray]
) -> dict[Triple, float]:
    """Compute the complementary-information weights (eq. 16) from the maps of all pairs.

    The paper sums over the whole volume; here the sum is over the target voxels. Most of a map may
    lie far from its region, in healthy tissue, and muting the message there does not change the
    region.

    Parameters
    ----------
    maps : mapping of (Pair, str) to numpy.ndarray
        Zeta of eq. 14, (Z, Y, X).
    targets : mapping of str to numpy.ndarray
        By region, the target voxels, (Z, Y, X) bool.

    Returns
    -------
    dict of (Pair, str) to float
        The weights of a pair sum to 1 over its auxiliaries; NaN where all its maps are zero.
    """
    sums = {
        (pair, auxiliary): float(zeta[targets[pair.region]].sum(dtype=np.float64))
        for (pair, auxiliary), zeta in maps.items()
    }
    totals: dict[Pair, float] = {}
    for (pair, _), value in sums.items():
        totals[pair] = totals.get(pair, 0.0) + value
    return {
        (pair, auxiliary): value / totals[pair] if totals[pair] > 0 else float("nan")
        for (pair, auxiliary), value in sums.items()
    }
