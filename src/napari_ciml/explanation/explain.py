"""Explanation of a segmentation: the one call that the widgets and the command line share."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.model_space import to_case_grid
from napari_ciml.decomposition import Pair
from napari_ciml.errors import CheckpointError
from napari_ciml.explanation.gradcam import Triple, complementary_maps
from napari_ciml.inference.device import choose_device
from napari_ciml.inference.engine import with_fallback
from napari_ciml.inference.segment import THRESHOLD, Segmentation, ensemble
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import Checkpoint


@dataclass(frozen=True)
class Explanation:
    """What each auxiliary modality added to a segmentation.

    Parameters
    ----------
    maps : dict of (Pair, str) to numpy.ndarray
        Complementary-information maps by pair and auxiliary, (Z, Y, X) float32 on the case grid,
        in [0, 1]: divided by the largest value of all of them, so that they can be compared.
    weights : dict of (Pair, str) to float
        Complementary-information weights (eq. 16); they sum to 1 over a pair's auxiliaries, and
        are NaN where all of a pair's maps are zero.
    largest : float
        The value that 1 stands for.
    notices : tuple of str
        What the user must know, for example which region has no voxel to ask about.
    """

    maps: dict[Triple, np.ndarray]
    weights: dict[Triple, float]
    largest: float
    notices: tuple[str, ...] = ()


def explain(
    case: Case,
    checkpoint: Checkpoint,
    segmentation: Segmentation,
    monitor: Monitor | None = None,
    device: str = "auto",
) -> Explanation:
    """Explain a segmentation: every primary-region-auxiliary triple of its plan, in one run.

    Parameters
    ----------
    case : Case
        The segmented case.
    checkpoint : Checkpoint
        The one that segmented it.
    segmentation : Segmentation
        Its predicted regions are the voxels asked about.
    monitor : Monitor, optional
        Hears progress and fall-backs, can cancel within one tile.
    device : str
        As in `SegmentSettings`.

    Raises
    ------
    CheckpointError
        If it is another checkpoint.
    DeviceError, CancelledError
        As `segment`.
    """
    monitor = monitor or Monitor()
    if checkpoint.sha256 != segmentation.checkpoint:
        raise CheckpointError(
            f"{case.name} was segmented with another checkpoint; segment it again with this one."
        )
    seen, plan = segmentation.model_input, segmentation.plan
    targets = {
        name: (values >= THRESHOLD) & seen.foreground
        for name, values in ensemble(segmentation.pairs, plan).items()
    }
    maps, _ = with_fallback(
        lambda where: complementary_maps(checkpoint, seen.images, targets, plan, where, monitor),
        seen.foreground.shape,
        checkpoint,
        choose_device(device),
        monitor,
    )
    maps = {triple: zeta * seen.foreground for triple, zeta in maps.items()}
    largest = max((float(zeta.max()) for zeta in maps.values()), default=0.0)
    placed = {}
    for done, (triple, zeta) in enumerate(maps.items()):
        monitor.step("Placing maps on the case", done, len(maps))
        placed[triple] = to_case_grid(zeta / (largest or 1.0), seen.grid, case)
    empty = [name for name, mask in targets.items() if not mask.any()]
    notices = tuple(f"No {name} was found, so nothing explains it." for name in empty)
    return Explanation(placed, complementary_weights(maps), largest, notices)


def complementary_weights(maps: Mapping[Triple, np.ndarray]) -> dict[Triple, float]:
    """Compute varpi of eq. 16 from the maps of all pairs; NaN where a pair's maps are all zero."""
    sums = {triple: float(zeta.sum(dtype=np.float64)) for triple, zeta in maps.items()}
    totals: dict[Pair, float] = {}
    for (pair, _), value in sums.items():
        totals[pair] = totals.get(pair, 0.0) + value
    return {
        (pair, auxiliary): value / totals[pair] if totals[pair] > 0 else float("nan")
        for (pair, auxiliary), value in sums.items()
    }
