"""What an engine is, and what it makes of a tile."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

from napari_ciml.decomposition.model import Message
from napari_ciml.network.last_level import ShallowState
from napari_ciml.progress import ProgressMonitor

Levels = tuple[Tensor, ...]
"""What an encoder gives from P/2 down, (1, C, P/2 ...), (1, 2C, P/4 ...) and so on: a message."""


class TileResult(NamedTuple):
    """One tile, run.

    Parameters
    ----------
    levels : dict of str to Levels
        By encoder, of those that were run.
    answers : dict of str to tuple of torch.Tensor and State
        By subtask: logits, (regions, Z, Y, X) float32 on the CPU, and the state.
    """

    levels: dict[str, Levels]
    answers: dict[str, tuple[Tensor, ShallowState]]


class Engine(Protocol):
    """A way to run a network."""

    def run(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str],
        muted: Collection[Message],
        known: Mapping[str, Levels],
        monitor: ProgressMonitor,
    ) -> TileResult:
        """Run a tile.

        Parameters
        ----------
        images : mapping of str to torch.Tensor
            By modality, each (1, 1, Z, Y, X).
        subtasks : collection of str
            Names of those that are run.
        muted : collection of Message
            Messages that are not passed.
        known : mapping of str to Levels
            By encoder, of those that need not be run.
        monitor : Monitor
            Asked at least between segmentors whether to stop.

        Raises
        ------
        CancelledError
            If the monitor's ``stop`` is set.
        """

    def release(self) -> None:
        """Give back the working memory; what is compiled stays."""
