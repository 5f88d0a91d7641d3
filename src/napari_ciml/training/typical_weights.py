"""Statistics of the complementary-information weights over a set of cases."""

from collections.abc import Sequence

import numpy as np

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.explanation.explain import explain
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.checkpoint_info import WeightStatistics
from napari_ciml.progress import ProgressMonitor


def weight_statistics(
    checkpoint: Checkpoint, cases: Sequence[LabelledCase], device: str, monitor: ProgressMonitor
) -> tuple[WeightStatistics, ...]:
    """Explain cases, and return mean and standard deviation of every weight (eq. 16).

    Cases in which all maps of a pair are zero are left out for that pair.

    Raises
    ------
    InputError
        If a case cannot be used.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    decomposition = checkpoint.info.decomposition
    quiet = ProgressMonitor(stop=monitor.stop)
    settings = SegmentSettings(device=device, engine="torch")
    weights: dict[tuple[str, str, str], list[float]] = {}
    for k, labelled in enumerate(cases):
        monitor.step("Explaining", k, len(cases))
        case = labelled.open(decomposition.input_modalities)
        segmentation = segment(case, checkpoint, decomposition, settings, quiet)
        explanation = explain(case, checkpoint, segmentation, quiet)
        for (pair, auxiliary), weight in explanation.weights.items():
            if np.isfinite(weight):
                weights.setdefault((*pair, auxiliary), []).append(weight)
    return tuple(
        WeightStatistics(
            primary=primary,
            region=region,
            auxiliary=auxiliary,
            mean=round(float(np.mean(values)), 4),
            sd=round(float(np.std(values, ddof=min(1, len(values) - 1))), 4),
            cases=len(values),
        )
        for (primary, region, auxiliary), values in weights.items()
    )
