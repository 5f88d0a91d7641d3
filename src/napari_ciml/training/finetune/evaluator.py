"""Evaluation of a network on the validation parts of corrected and replay cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.context import InferenceContext
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.plan import make_plan
from napari_ciml.inference.runtime import choose_runtime, run_with_oom_fallback
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.inference.sliding_window import predict_pairs
from napari_ciml.metrics import dice
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.finetune.results import DiceByRegion, Version


@dataclass(frozen=True)
class VersionEvaluator:
    """Evaluate versions of a network, always on the same cases.

    Parameters
    ----------
    corrected, replay : list of TrainingCase
        Validation cases: corrected ones, and ones that must not be forgotten.
    decomposition : Decomposition
        Decomposition that they are segmented with.
    tolerance : float
        Mean Dice that the replay cases may lose.
    device : torch.device
        Device of the inference.
    monitor : ProgressMonitor
        Cancels between two tiles.
    """

    corrected: list[TrainingCase]
    replay: list[TrainingCase]
    decomposition: Decomposition
    tolerance: float
    device: torch.device
    monitor: ProgressMonitor

    def measure(self, checkpoint: Checkpoint, first: Version | None) -> Version:
        """Evaluate a network.

        Parameters
        ----------
        checkpoint : Checkpoint
            The network and its info.
        first : Version or None
            Initial version, which `Version.retains_replay` compares with.
        """
        corrected, replay = (
            _mean([self._dice_by_region(checkpoint, case) for case in cases])
            for cases in (self.corrected, self.replay)
        )
        before = first.replay if first else {}
        losses = [value - replay[region] for region, value in before.items()]
        retains_replay = not losses or (
            float(np.mean(losses)) <= self.tolerance and max(losses) <= 2 * self.tolerance
        )
        state = checkpoint.network.state_dict()
        weights = {name: value.detach().cpu().clone() for name, value in state.items()}
        return Version(weights, corrected, replay, retains_replay)

    def _dice_by_region(self, checkpoint: Checkpoint, case: TrainingCase) -> DiceByRegion:
        names = self.decomposition.input_modalities
        images = {name: case.images[k].astype(np.float32) for k, name in enumerate(names)}
        plan = make_plan(checkpoint.info, self.decomposition)
        quiet = ProgressMonitor(stop=self.monitor.stop)
        z, y, x = case.regions.shape[1:]
        shape = (z, y, x)
        pairs, _ = run_with_oom_fallback(
            lambda runtime: predict_pairs(
                InferenceContext(checkpoint, plan, InferenceCache.disabled(runtime), quiet), images
            ),
            choose_runtime(checkpoint.info, shape, self.device),
            shape,
            checkpoint.info,
            self.monitor,
        )
        mask = case.label_confidence_mask
        confident = np.ones(shape, bool) if mask is None else mask
        return {
            name: dice((values >= THRESHOLD) & confident, case.regions[k] & confident)
            for k, (name, values) in enumerate(ensemble(pairs, plan).items())
        }


def _mean(scores: Sequence[DiceByRegion]) -> DiceByRegion:
    return {
        region: float(np.mean([score[region] for score in scores]))
        for region in (scores[0] if scores else ())
    }
