"""Training, validation and test cases of a study, the same in every run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ciml.cases.datasets import find_cases
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.studies.synthetic_volumes import make_volume
from napari_ciml.training.cohort import TrainingCase, load_cohort
from napari_ciml.training.intensity_statistics import resolve_dataset_normalisation
from napari_ciml.training.settings import TrainSettings

SYNTHETIC = "synthetic volumes"

_SMALL = {"training": (0, 100), "validation": (1000, 8), "test": (2000, 30)}
"""First seed and number of the synthetic volumes."""


@dataclass(frozen=True)
class Split:
    """Training, validation and test cases; ``name`` identifies the set."""

    name: str
    training: list[TrainingCase]
    validation: list[TrainingCase]
    test: list[TrainingCase]


def synthetic_cases() -> Split:
    """Return the split of the ``small`` budget."""
    volumes = {
        part: [make_volume(first + k) for k in range(count)]
        for part, (first, count) in _SMALL.items()
    }
    return Split(f"{SYNTHETIC} {_SMALL}", **volumes)


def real_cases(data: Path, settings: TrainSettings, cache: Path, monitor: ProgressMonitor) -> Split:
    """Split a data set at random: 70 % for training, 10 % for validation, 20 % for testing.

    Raises
    ------
    InputError
        If there are fewer than ten, or one of them cannot be used.
    """
    cases = find_cases(data)
    if len(cases) < 10:
        raise InputError(f"{data}: {len(cases)} cases; a study needs at least ten.")
    order = np.random.default_rng(0).permutation(len(cases))
    shuffled = [cases[k] for k in order]
    first, second = int(0.7 * len(cases)), int(0.8 * len(cases))
    settings = resolve_dataset_normalisation(settings, shuffled[:first], cache, monitor)
    loaded = load_cohort(shuffled, settings, cache, monitor)
    keys = " ".join(sorted(case.key for case in cases))
    return Split(
        f"{len(cases)} cases {keys}", loaded[:first], loaded[first:second], loaded[second:]
    )
