"""What a study trains, validates and tests on: always the same cases."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ciml.cases.datasets import find_cases
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.studies.synthetic_volumes import make_puzzle
from napari_ciml.training.cohort import TrainingCase, load_cohort
from napari_ciml.training.intensity_statistics import resolve_dataset_normalisation
from napari_ciml.training.settings import TrainSettings

_SMALL = {"training": (0, 100), "validation": (1000, 8), "test": (2000, 30)}
"""Seeds of the puzzles: the first one, and how many."""


@dataclass(frozen=True)
class Split:
    """Cases by what they are for, and in a word which ones they are."""

    name: str
    training: list[TrainingCase]
    validation: list[TrainingCase]
    test: list[TrainingCase]


def puzzles() -> Split:
    """Return the split of the ``small`` budget."""
    made = {
        use: [make_puzzle(first + k) for k in range(count)]
        for use, (first, count) in _SMALL.items()
    }
    return Split(f"puzzles {_SMALL}", **made)


def real_cases(data: Path, settings: TrainSettings, cache: Path, monitor: ProgressMonitor) -> Split:
    """Return the cases of a data set: 70 % to train, 10 % to validate, 20 % to test, by chance.

    Raises
    ------
    InputError
        If there are fewer than ten, or one of them cannot be used.
    """
    found = find_cases(data)
    if len(found) < 10:
        raise InputError(f"{data}: {len(found)} cases; a study needs at least ten.")
    order = np.random.default_rng(0).permutation(len(found))
    shuffled = [found[k] for k in order]
    first, second = int(0.7 * len(found)), int(0.8 * len(found))
    settings = resolve_dataset_normalisation(settings, shuffled[:first], cache, monitor)
    loaded = load_cohort(shuffled, settings, cache, monitor)
    keys = " ".join(sorted(case.key for case in found))
    return Split(
        f"{len(found)} cases {keys}", loaded[:first], loaded[first:second], loaded[second:]
    )
