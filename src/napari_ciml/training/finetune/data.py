"""Patches of corrected cases, mixed with others."""

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.patches import Patches
from napari_ciml.training.settings import TrainSettings


class Mixed(Dataset[dict[str, Tensor]]):
    """Patches of corrected cases, and a share of others."""

    def __init__(
        self,
        corrected: list[TrainingCase],
        replay: list[TrainingCase],
        settings: TrainSettings,
        share: float,
    ) -> None:
        partly = any(case.certain is not None for case in (*corrected, *replay))
        self.corrected = Patches(corrected, settings, partly)
        self.replay = Patches(replay, settings, partly) if replay else None
        self.share, self.seed = share, settings.seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        chance = np.random.default_rng((self.seed, index, 1)).random()
        return (self.replay if self.replay and chance < self.share else self.corrected)[index]
