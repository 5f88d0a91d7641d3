"""The PyTorch engine: encoders and segmentors as they are, with what the maps begin with."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor, nn

from napari_ciml.decomposition.model import Message
from napari_ciml.inference.engines.base import Levels, TileResult
from napari_ciml.network.ciml import CIML
from napari_ciml.network.encoder import Embeddings, Encoder
from napari_ciml.network.last_level import (
    ShallowState,
    Statistics,
    last_blocks,
    record_norm_statistics,
)
from napari_ciml.progress import ProgressMonitor


class TorchEngine:
    """A network on its device; gradients and precision are the caller's.

    Parameters
    ----------
    network : CIML
        In evaluation mode.
    """

    def __init__(self, network: CIML) -> None:
        if network.settings.norm == "batch" and _device(network).type in ("cpu", "cuda"):
            # Instance norm would turn every tensor back.
            for parameter in network.parameters():
                if parameter.dim() == 5:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
        self._network = network
        self._first: dict[str, Statistics] = {}

    def run(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str],
        muted: Collection[Message],
        known: Mapping[str, Levels],
        monitor: ProgressMonitor,
    ) -> TileResult:
        """As `Engine.run`."""
        encoded = self.encode(images, subtasks, muted, known)
        answers = {}
        for name in subtasks:
            monitor.raise_if_cancelled()
            answers[name] = self.segment(name, encoded, muted)
        new = {name: found.levels for name, found in encoded.items() if name not in known}
        return TileResult(new, answers)

    def release(self) -> None:
        """Nothing: PyTorch's own cache is kept for the next tile."""

    def encode(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str],
        muted: Collection[Message] = (),
        kept: Mapping[str, tuple[Tensor, ...]] = MappingProxyType({}),
    ) -> dict[str, Embeddings]:
        """As `CIML.encode`."""
        first = {name: self._blocks(name)[0] for name in subtasks}
        with record_norm_statistics(first.values()) as found:
            encoded = self._network.encode(images, subtasks, muted, kept)
        self._first = {name: found[block] for name, block in first.items() if block in found}
        return encoded

    def segment(
        self,
        subtask: str,
        encoded: Mapping[str, Embeddings],
        muted: Collection[Message],
    ) -> tuple[Tensor, ShallowState]:
        """Run a segmentor over what was just encoded: (regions, Z, Y, X) float32, and its state."""
        segmentor, own = self._network.segmentor(subtask), encoded[subtask]
        rest = self._blocks(subtask)[1:]
        with record_norm_statistics(rest) as found:
            filtered = segmentor.filter(
                own, self._network.incoming_messages(subtask, encoded, muted)
            )
            logits = segmentor.predict(filtered)
        statistics = (self._first[subtask], *(found[block] for block in rest)) if found else ()
        state = ShallowState(own.levels[0], filtered.deep, filtered.kappas, statistics)
        return logits[0].float().cpu(), state

    def _blocks(self, subtask: str) -> tuple[nn.Sequential, ...]:
        encoder = cast("Encoder", self._network.encoders[subtask])
        return last_blocks(encoder, self._network.segmentor(subtask))


def _device(network: CIML) -> torch.device:
    return next(network.parameters()).device
