"""PyTorch engine."""

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
    """Run a network in PyTorch. The caller sets gradient mode and autocast.

    Parameters
    ----------
    network : CIML
        In evaluation mode, on its device.
    """

    def __init__(self, network: CIML) -> None:
        if network.settings.norm == "batch" and _device(network).type in ("cpu", "cuda"):
            # Not with instance norm, which would convert every tensor back.
            for parameter in network.parameters():
                if parameter.dim() == 5:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
        self._network = network
        self._first_statistics: dict[str, Statistics] = {}

    def run(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str],
        muted: Collection[Message],
        cached: Mapping[str, Levels],
        monitor: ProgressMonitor,
    ) -> TileResult:
        """As `Engine.run`."""
        encoded = self.encode(images, subtasks, muted, cached)
        outputs = {}
        for name in subtasks:
            monitor.raise_if_cancelled()
            outputs[name] = self.segment(name, encoded, muted)
        levels = {name: e.levels for name, e in encoded.items() if name not in cached}
        return TileResult(levels, outputs)

    def release(self) -> None:
        """Do nothing: the memory that PyTorch's allocator caches is used by the next tile."""

    def encode(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str],
        muted: Collection[Message] = (),
        cached: Mapping[str, Levels] = MappingProxyType({}),
    ) -> dict[str, Embeddings]:
        """As `CIML.encode`; also records norm statistics for `segment`."""
        first = {name: self._blocks(name)[0] for name in subtasks}
        with record_norm_statistics(first.values()) as statistics:
            encoded = self._network.encode(images, subtasks, muted, cached)
        self._first_statistics = {
            name: statistics[block] for name, block in first.items() if block in statistics
        }
        return encoded

    def segment(
        self,
        subtask: str,
        encoded: Mapping[str, Embeddings],
        muted: Collection[Message],
    ) -> tuple[Tensor, ShallowState]:
        """Run a segmentor on the result of the last `encode`.

        Returns
        -------
        tuple of torch.Tensor and ShallowState
            Logits, (regions, Z, Y, X) float32 on the CPU, and the segmentor's state.
        """
        segmentor, own = self._network.segmentor(subtask), encoded[subtask]
        blocks = self._blocks(subtask)[1:]
        with record_norm_statistics(blocks) as recorded:
            messages = self._network.incoming_messages(subtask, encoded, muted)
            filtered = segmentor.filter(own, messages)
            logits = segmentor.predict(filtered)
        statistics: tuple[Statistics, ...] = ()
        if recorded:
            statistics = (self._first_statistics[subtask], *(recorded[block] for block in blocks))
        state = ShallowState(own.levels[0], filtered.deep, filtered.kappas, statistics)
        return logits[0].float().cpu(), state

    def _blocks(self, subtask: str) -> tuple[nn.Sequential, ...]:
        encoder = cast("Encoder", self._network.encoders[subtask])
        return last_blocks(encoder, self._network.segmentor(subtask))


def _device(network: CIML) -> torch.device:
    return next(network.parameters()).device
