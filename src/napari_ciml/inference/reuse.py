"""Decide what of a previous segmentation of the same case can be reused."""

from collections.abc import Mapping

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.preprocessing import PreprocessedCase
from napari_ciml.decomposition.model import Pair
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import Checkpoint


def is_reusable(
    previous: Segmentation, case: Case, checkpoint: Checkpoint, settings: SegmentSettings
) -> bool:
    """Whether the cache of a previous run is valid: same case, weights and way of computing."""
    return (
        previous.case() is case
        and previous.checkpoint == checkpoint.sha256
        and previous.settings.device == settings.device
        and previous.settings.engine == settings.engine
        and previous.settings.test_time_flips == settings.test_time_flips
        and previous.settings.overlap == settings.overlap
        and previous.settings.multiscale == settings.multiscale
    )


def unchanged_probabilities(
    previous: Segmentation | None,
    pairs: Mapping[Pair, np.ndarray],
    plan: InferencePlan,
    model_input: PreprocessedCase,
) -> dict[str, np.ndarray]:
    """Return the previous run's probabilities of regions whose ensemble has not changed.

    Parameters
    ----------
    previous : Segmentation, optional
        The previous run.
    pairs : mapping of Pair to numpy.ndarray
        Probabilities of this run on the model grid; those taken from the cache are the same arrays.
    plan : InferencePlan
        Plan of this run.
    model_input : PreprocessedCase
        Network input of this run.

    Returns
    -------
    dict of str to numpy.ndarray
        By region, (Z, Y, X) float32 on the case grid.
    """
    if previous is None or not np.array_equal(
        model_input.foreground, previous.model_input.foreground
    ):
        return {}

    def members(
        probabilities: Mapping[Pair, np.ndarray], used_plan: InferencePlan, region: str
    ) -> list[tuple[Pair, int, float]]:
        return [
            (pair, id(values), used_plan.weight(pair))
            for pair, values in probabilities.items()
            if pair.region == region
        ]

    return {
        name: previous.probabilities[name]
        for name in plan.decomposition.region_names
        if name in previous.probabilities
        and members(pairs, plan, name) == members(previous.pair_probabilities, previous.plan, name)
    }
