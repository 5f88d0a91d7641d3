"""Versions of a network, and what each is worth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.plan import make_plan
from napari_ciml.inference.runtime import choose_runtime, run_with_oom_fallback
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.inference.sliding_window import predict_pairs
from napari_ciml.metrics import dice
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.finetune.results import DiceByRegion


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
    corrected: DiceByRegion
    replay: DiceByRegion
    harmless: bool
    share: float = 0.0

    @property
    def score(self) -> float:
        """Mean Dice over the regions of the corrected cases."""
        return float(np.mean(list(self.corrected.values())))


@dataclass(frozen=True)
class VersionEvaluator:
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
    monitor: ProgressMonitor

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

    def _dices(self, checkpoint: Checkpoint, case: TrainingCase) -> DiceByRegion:
        names = self.wanted.input_modalities
        images = {name: case.images[k].astype(np.float32) for k, name in enumerate(names)}
        plan = make_plan(checkpoint.info, self.wanted)
        quiet = ProgressMonitor(stop=self.monitor.stop)
        z, y, x = case.regions.shape[1:]
        shape = (z, y, x)
        pairs, _ = run_with_oom_fallback(
            lambda where: predict_pairs(checkpoint, images, plan, where, quiet),
            choose_runtime(checkpoint.info, shape, self.device),
            shape,
            checkpoint.info,
            self.monitor,
        )
        inside = (
            np.ones(shape, bool)
            if case.label_confidence_mask is None
            else case.label_confidence_mask
        )
        return {
            name: dice((values >= THRESHOLD) & inside, case.regions[k] & inside)
            for k, (name, values) in enumerate(ensemble(pairs, plan).items())
        }


def _mean(cases: Sequence[DiceByRegion]) -> DiceByRegion:
    return {
        region: float(np.mean([case[region] for case in cases]))
        for region in (cases[0] if cases else ())
    }
