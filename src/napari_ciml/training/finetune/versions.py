"""Versions of a network, and what each is worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_ciml.decomposition import Decomposition
from napari_ciml.inference.assemble import ensemble
from napari_ciml.inference.engine import predict_pairs
from napari_ciml.inference.plan import make_plan
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.inference.workspace import first_workspace, with_fallback
from napari_ciml.measures import dice
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.finetune.outcome import Dices


@dataclass(frozen=True)
class Version:
    """Weights, with what they are worth.

    Parameters
    ----------
    weights : dict of str to torch.Tensor
        On the CPU.
    corrected, replay : dict of str to float
        Mean Dice by region.
    harmless : bool
        Whether, on the replay cases, the mean Dice over regions lost no more than the tolerance,
        and no region, which a few cases tell less exactly, more than twice as much.
    share : float
        How far it lies on the way from the old weights (0) to the learnt ones (1).
    """

    weights: dict[str, Tensor]
    corrected: Dices
    replay: Dices
    harmless: bool
    share: float = 0.0

    @property
    def worth(self) -> float:
        """Mean Dice over the regions of the corrected cases."""
        return float(np.mean(list(self.corrected.values())))


@dataclass(frozen=True)
class Judge:
    """Measures versions, always on the same cases.

    Parameters
    ----------
    corrected, replay : list of TrainingCase
        Cases to learn from, and cases not to forget.
    wanted : Decomposition
        What they are segmented for.
    tolerance : float
        Mean Dice that may be lost on the latter.
    device : torch.device
        Where to segment.
    monitor : Monitor
        Can cancel within a tile.
    """

    corrected: list[TrainingCase]
    replay: list[TrainingCase]
    wanted: Decomposition
    tolerance: float
    device: torch.device
    monitor: Monitor

    def measure(self, checkpoint: Checkpoint, first: Version | None) -> Version:
        """Measure a network; with the version it began as, to tell whether harm was done."""
        corrected, replay = (
            _mean([self._dices(checkpoint, case) for case in cases])
            for cases in (self.corrected, self.replay)
        )
        lost = [before - replay[name] for name, before in (first.replay if first else {}).items()]
        harmless = not lost or (
            float(np.mean(lost)) <= self.tolerance and max(lost) <= 2 * self.tolerance
        )
        state = checkpoint.network.state_dict()
        weights = {name: value.detach().cpu().clone() for name, value in state.items()}
        return Version(weights, corrected, replay, harmless)

    def _dices(self, checkpoint: Checkpoint, case: TrainingCase) -> Dices:
        names = self.wanted.used_modalities
        images = {name: case.images[k].astype(np.float32) for k, name in enumerate(names)}
        plan = make_plan(checkpoint.info, self.wanted)
        quiet = Monitor(stop=self.monitor.stop)
        z, y, x = case.regions.shape[1:]
        shape = (z, y, x)
        pairs, _ = with_fallback(
            lambda where: predict_pairs(checkpoint, images, plan, where, quiet),
            first_workspace(checkpoint.info, shape, self.device),
            shape,
            checkpoint.info,
            self.monitor,
        )
        inside = np.ones(shape, bool) if case.certain is None else case.certain
        return {
            name: dice((values >= THRESHOLD) & inside, case.regions[k] & inside)
            for k, (name, values) in enumerate(ensemble(pairs, plan).items())
        }


def _mean(cases: Sequence[Dices]) -> Dices:
    return {
        region: float(np.mean([case[region] for case in cases]))
        for region in (cases[0] if cases else ())
    }
