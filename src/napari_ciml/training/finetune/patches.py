"""Patches of corrected and replay cases in one data set."""

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.patches import Patches
from napari_ciml.training.settings import TrainSettings


class ReplayMixDataset(Dataset[dict[str, Tensor]]):
    """Patches of corrected cases mixed with patches of replay cases.

    Parameters
    ----------
    corrected, replay : list of TrainingCase
        Cases to learn, and cases that must not be forgotten.
    settings : TrainSettings
        Patch size, foreground fraction and seed.
    replay_fraction : float
        Fraction of the patches that are cut from replay cases.
    """

    def __init__(
        self,
        corrected: list[TrainingCase],
        replay: list[TrainingCase],
        settings: TrainSettings,
        replay_fraction: float,
    ) -> None:
        masked = any(case.label_confidence_mask is not None for case in (*corrected, *replay))
        self.corrected = Patches(corrected, settings, masked)
        self.replay = Patches(replay, settings, masked) if replay else None
        self.replay_fraction, self.seed = replay_fraction, settings.seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        draw = np.random.default_rng((self.seed, index, 1)).random()
        return (self.replay if self.replay and draw < self.replay_fraction else self.corrected)[
            index
        ]
