"""Protocol of an engine, and its result for one tile."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from torch import Tensor

from napari_ciml.decomposition.model import Message
from napari_ciml.network.last_level import ShallowState
from napari_ciml.progress import ProgressMonitor

Levels = tuple[Tensor, ...]
"""Feature maps of an encoder from P/2 to P/16, (1, C, P/2 ...), (1, 2C, P/4 ...) and so on: its
message to other segmentors (section 3.1)."""


class TileResult(NamedTuple):
    """Result of one tile.

    Parameters
    ----------
    levels : dict of str to Levels
        By encoder, for those that were run.
    outputs : dict of str to tuple of torch.Tensor and ShallowState
        By subtask: logits, (regions, Z, Y, X) float32 on the CPU, and the segmentor's state.
    """

    levels: dict[str, Levels]
    outputs: dict[str, tuple[Tensor, ShallowState]]


class Engine(Protocol):
    """Runs a network on tiles."""

    def run(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str],
        muted: Collection[Message],
        cached: Mapping[str, Levels],
        monitor: ProgressMonitor,
    ) -> TileResult:
        """Run a tile.

        Parameters
        ----------
        images : mapping of str to torch.Tensor
            By modality, each (1, 1, Z, Y, X).
        subtasks : collection of str
            Names of the subtasks to run.
        muted : collection of Message
            Messages that are not passed.
        cached : mapping of str to Levels
            Feature maps by encoder; these encoders are not run.
        monitor : ProgressMonitor
            Checked for cancellation at least between segmentors.

        Raises
        ------
        CancelledError
            If the monitor is cancelled.
        """

    def release(self) -> None:
        """Free the working memory; compiled models stay."""
