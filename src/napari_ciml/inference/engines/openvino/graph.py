"""The whole network as one graph, and what its inputs and outputs are called."""

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ciml.inference.tiles import SMALLEST_TILE
from napari_ciml.network.ciml import CIML
from napari_ciml.network.encoder import Embeddings, Encoder
from napari_ciml.network.last_level import last_blocks, record_norm_statistics
from napari_ciml.network.settings import LEVELS


def image(encoder: str) -> str:
    """Name the input that an encoder sees, (1, M, Z, Y, X)."""
    return f"image {encoder}"


def message_mask_input(subtask: str) -> str:
    """Name the input that says which messages a subtask hears, (auxiliaries,) of 0 and 1."""
    return f"switches {subtask}"


def levels(encoder: str) -> tuple[str, ...]:
    """Name an encoder's levels from P/2 down: outputs, or inputs of a part."""
    return tuple(f"level {encoder} {k}" for k in range(LEVELS))


def results(network: CIML, subtask: str) -> tuple[str, ...]:
    """Name what a subtask gives.

    Its logits, its state (Up3's first half, one kappa for each auxiliary) and, of instance norm,
    mean and variance of each of the last blocks.
    """
    segmentor = network.segmentor(subtask)
    blocks = last_blocks(_encoder(network, subtask), segmentor)
    numbers = sum(2 for block in blocks if isinstance(block[1], nn.InstanceNorm3d))
    return (
        f"logits {subtask}",
        f"deep {subtask}",
        *(f"kappa {subtask} {name}" for name in segmentor.auxiliaries),
        *(f"number {subtask} {k}" for k in range(numbers)),
    )


class TracedNetwork(nn.Module):
    """All encoders and segmentors, from images and switches to all levels and results.

    Parameters
    ----------
    network : CIML
        In evaluation mode.
    """

    def __init__(self, network: CIML) -> None:
        super().__init__()
        self.network = network

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of `forward`."""
        subtasks = self.network.segmentors
        heard = [name for name in subtasks if self.network.segmentor(name).auxiliaries]
        return tuple(map(image, self.network.encoders)) + tuple(map(message_mask_input, heard))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of `forward`."""
        encoded = [name for encoder in self.network.encoders for name in levels(encoder)]
        made = [name for task in self.network.segmentors for name in results(self.network, task)]
        return (*encoded, *made)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs of the smallest tile there is."""
        edges = (SMALLEST_TILE,) * 3
        seen = [torch.randn(1, len(of), *edges) for of in self.network.inputs.values()]
        counts = [len(self.network.segmentor(t).auxiliaries) for t in self.network.segmentors]
        return (*seen, *(torch.ones(count) for count in counts if count))

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Run everything."""
        named = dict(zip(self.inputs, given, strict=True))
        encoded = {
            name: cast("Embeddings", encoder(named[image(name)]))
            for name, encoder in self.network.encoders.items()
        }
        found = [level for embeddings in encoded.values() for level in embeddings.levels]
        for subtask in self.network.segmentors:
            heard = named.get(message_mask_input(subtask))
            found += self._segment(subtask, named[image(subtask)], encoded, heard)
        return tuple(found)

    def _segment(
        self,
        subtask: str,
        seen: Tensor,
        encoded: Mapping[str, Embeddings],
        heard: Tensor | None,
    ) -> Iterator[Tensor]:
        """Segment with a switch for each message; switched off, it is muted.

        A muted message has a zero pooled map and no kappa. A kappa is heard through its aligning
        convolution alone, so that is what the switch multiplies, beside the message.
        """
        segmentor, encoder = self.network.segmentor(subtask), _encoder(self.network, subtask)
        messages = {}
        hooks = [segmentor.output.register_forward_hook(_of_two_channels)]
        for k, name in enumerate(segmentor.auxiliaries):
            switch = cast("Tensor", heard)[k]
            messages[name] = tuple(level * switch for level in encoded[name].levels)
            hooks += [
                align.register_forward_hook(lambda _m, _i, out, switch=switch: out * switch)
                for align in segmentor.aligning(name)
            ]
        blocks = last_blocks(encoder, segmentor)
        try:
            with record_norm_statistics(blocks) as statistics:
                own = Embeddings(encoder.full(seen), encoded[subtask].levels)
                state = segmentor.filter(own, messages)
                logits = segmentor.predict(state)
        finally:
            for hook in hooks:
                hook.remove()
        yield from (logits, state.deep, *(state.kappas[name] for name in segmentor.auxiliaries))
        yield from (number for block in blocks if statistics for number in statistics[block])


def _encoder(network: CIML, name: str) -> Encoder:
    return cast("Encoder", network.encoders[name])


def _of_two_channels(layer: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
    """Compute a lone channel twice and drop one.

    OpenVINO has no matrix instructions for a convolution with one output channel: two take
    less than a fifth of the time of one.
    """
    if made.shape[1] > 1:
        return made
    conv = cast("nn.Conv3d", layer)
    weight, bias = conv.weight.repeat(2, 1, 1, 1, 1), cast("Tensor", conv.bias).repeat(2)
    return functional.conv3d(given[0], weight, bias, padding=conv.padding)[:, :1]
