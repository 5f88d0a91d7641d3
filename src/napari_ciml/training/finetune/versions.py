"""Versions of a fine-tune: evaluated one after another, the best one written to disk."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.network.ciml import CIML
from napari_ciml.network.transfer import TransferredNetwork
from napari_ciml.training.finetune.evaluator import VersionEvaluator
from napari_ciml.training.finetune.results import Version
from napari_ciml.training.finetune.weight_interpolation import interpolate_weights

INTERPOLATION = "interpolation"
"""Option of a `TrainingRecord` that holds `Version.interpolation`."""


class VersionHistory:
    """Evaluated versions of a network under training.

    Parameters
    ----------
    path : pathlib.Path
        Checkpoint file of the best version.
    trained : TransferredNetwork
        Network under training; as it is now, it is the initial version.
    evaluator : VersionEvaluator
        Scores versions.
    describe : callable
        Returns the info of a version's checkpoint, given its interpolation.
    """

    def __init__(
        self,
        path: Path,
        trained: TransferredNetwork,
        evaluator: VersionEvaluator,
        describe: Callable[[float], CheckpointInfo],
    ) -> None:
        self.path, self.trained, self.evaluator, self.describe = path, trained, evaluator, describe
        self.versions: list[Version] = []

    @property
    def first(self) -> Version:
        """The initial version."""
        return self.versions[0]

    @property
    def best(self) -> Version:
        """The best version by score on the corrected cases.

        Versions that retain the replay cases come first; without a version that improves on the
        initial one, it is that.
        """
        better = [version for version in self.versions if version.score > self.first.score]
        return max(better, key=lambda v: (v.retains_replay, v.score), default=self.first)

    def start(self, resume: bool) -> None:
        """Evaluate the initial version and, to resume, the one on disk; write the better one."""
        self._evaluate(self.trained.network)
        if resume and self.path.is_file():
            saved = load_checkpoint(self.path)
            self._evaluate(saved.network, float(saved.info.training.options[INTERPOLATION]))
        self.write()

    def evaluate(self, interpolation: float) -> Version:
        """Evaluate the network at a position between its initial and present weights.

        If it is the best version so far, it is written at once.
        """
        network = interpolate_weights(self.trained, self.first.weights, interpolation)
        version = self._evaluate(network, interpolation)
        if version is self.best:
            self.write()
        return version

    def write(self) -> None:
        """Write the best version."""
        trained = self.trained.network
        network = CIML(trained.decomposition, trained.settings)
        network.load_state_dict(self.best.weights)
        save_checkpoint(self.path, network, self.describe(self.best.interpolation))

    def _evaluate(self, network: CIML, interpolation: float = 0.0) -> Version:
        first = self.versions[0] if self.versions else None
        checkpoint = Checkpoint(self.path, self.describe(1.0), "", network.eval())
        version = self.evaluator.measure(checkpoint, first)
        self.versions.append(replace(version, interpolation=interpolation))
        return self.versions[-1]
