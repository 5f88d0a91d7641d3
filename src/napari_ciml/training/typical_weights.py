"""Which complementary-information weights are usual: over the cases a checkpoint is measured on."""

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

    A case in which a pair's maps are all zero does not count for that pair.

    Raises
    ------
    InputError
        If a case cannot be used.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    whole = checkpoint.info.decomposition
    found: dict[tuple[str, str, str], list[float]] = {}
    quiet, settings = (
        ProgressMonitor(stop=monitor.stop),
        SegmentSettings(device=device, engine="torch"),
    )
    for done, labelled in enumerate(cases):
        monitor.step("Explaining", done, len(cases))
        case = labelled.open(whole.input_modalities)
        segmentation = segment(case, checkpoint, whole, settings, quiet)
        explanation = explain(case, checkpoint, segmentation, quiet)
        for (pair, auxiliary), weight in explanation.weights.items():
            if np.isfinite(weight):
                found.setdefault((*pair, auxiliary), []).append(weight)
    return tuple(
        WeightStatistics(
            primary=primary,
            region=region,
            auxiliary=auxiliary,
            mean=round(float(np.mean(values)), 4),
            sd=round(float(np.std(values, ddof=min(1, len(values) - 1))), 4),
            cases=len(values),
        )
        for (primary, region, auxiliary), values in found.items()
    )
