"""Cases to learn from and cases not to forget, and patches of both."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.cases.writing import read_label_map
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.audit import validate_label_values
from napari_ciml.training.cohort import TrainingCase, to_training_case
from napari_ciml.training.patches import Patches
from napari_ciml.training.settings import TrainSettings, usual_normalisation


def space_for(info: CheckpointInfo, wanted: Decomposition) -> CheckpointInfo:
    """Return a checkpoint's space with another decomposition; new modalities get usual units."""
    normalisation = usual_normalisation(wanted.input_modalities) | info.normalisation
    return info.model_copy(update={"decomposition": wanted, "normalisation": normalisation})


def read_cases(
    cases: Sequence[LabelledCase], space: CheckpointInfo, monitor: ProgressMonitor
) -> list[TrainingCase]:
    """Read cases with their label maps.

    Raises
    ------
    InputError
        If one cannot be used, or has a label that is in no region.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    found = []
    for done, labelled in enumerate(cases):
        monitor.step("Reading cases", done, len(cases))
        case = labelled.open(space.decomposition.input_modalities)
        labels = read_label_map(labelled.reference, case)
        validate_label_values(labels, space.decomposition, str(labelled.reference))
        found.append(to_training_case(case, labels, space))
    return found


class ReplayMixDataset(Dataset[dict[str, Tensor]]):
    """Patches of corrected cases, and a share of others."""

    def __init__(
        self,
        corrected: list[TrainingCase],
        replay: list[TrainingCase],
        settings: TrainSettings,
        share: float,
    ) -> None:
        partly = any(case.label_confidence_mask is not None for case in (*corrected, *replay))
        self.corrected = Patches(corrected, settings, partly)
        self.replay = Patches(replay, settings, partly) if replay else None
        self.share, self.seed = share, settings.seed

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        chance = np.random.default_rng((self.seed, index, 1)).random()
        return (self.replay if self.replay and chance < self.share else self.corrected)[index]
