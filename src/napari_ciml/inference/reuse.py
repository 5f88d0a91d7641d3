"""What an earlier segmentation of the same case is still good for."""

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
    """Whether what an earlier run kept can be used at all."""
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
    pairs: dict[Pair, np.ndarray],
    plan: InferencePlan,
    seen: PreprocessedCase,
) -> dict[str, np.ndarray]:
    """Return the probabilities on the case grid that are what they were."""
    if previous is None or not np.array_equal(seen.foreground, previous.model_input.foreground):
        return {}

    def parts(
        of: dict[Pair, np.ndarray], by: InferencePlan, name: str
    ) -> list[tuple[Pair, int, float]]:
        return [(pair, id(v), by.weight(pair)) for pair, v in of.items() if pair.region == name]

    return {
        name: previous.probabilities[name]
        for name in plan.decomposition.region_names
        if name in previous.probabilities
        and parts(pairs, plan, name) == parts(previous.pair_probabilities, previous.plan, name)
    }
