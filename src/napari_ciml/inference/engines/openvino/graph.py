"""The whole network as one traceable module, and the names of its inputs and outputs."""

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
    """Return the name of an encoder's input, (1, M, Z, Y, X)."""
    return f"image {encoder}"


def message_mask_input(subtask: str) -> str:
    """Return the name of a subtask's message mask, (auxiliaries,): 1 passes, 0 mutes."""
    return f"mask {subtask}"


def levels(encoder: str) -> tuple[str, ...]:
    """Return the names of an encoder's levels from P/2 to P/16: outputs, or inputs of a part."""
    return tuple(f"level {encoder} {k}" for k in range(LEVELS))


def results(network: CIML, subtask: str) -> tuple[str, ...]:
    """Return the names of a subtask's outputs.

    These are its logits, its state (deep features, a kappa for each auxiliary) and, with instance
    norm, mean and variance of each of the last blocks.
    """
    segmentor = network.segmentor(subtask)
    blocks = last_blocks(_encoder(network, subtask), segmentor)
    statistics = sum(2 for block in blocks if isinstance(block[1], nn.InstanceNorm3d))
    return (
        f"logits {subtask}",
        f"deep {subtask}",
        *(f"kappa {subtask} {name}" for name in segmentor.auxiliaries),
        *(f"statistic {subtask} {k}" for k in range(statistics)),
    )


class TracedNetwork(nn.Module):
    """All encoders and segmentors, from images and message masks to all levels and results.

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
        receivers = [name for name in subtasks if self.network.segmentor(name).auxiliaries]
        return (*map(image, self.network.encoders), *map(message_mask_input, receivers))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in the order of `forward`."""
        encoder_outputs = [name for encoder in self.network.encoders for name in levels(encoder)]
        subtasks = self.network.segmentors
        subtask_outputs = [name for task in subtasks for name in results(self.network, task)]
        return (*encoder_outputs, *subtask_outputs)

    def example(self) -> tuple[Tensor, ...]:
        """Return inputs for the smallest tile."""
        edges = (SMALLEST_TILE,) * 3
        images = [torch.randn(1, len(names), *edges) for names in self.network.inputs.values()]
        counts = [len(self.network.segmentor(t).auxiliaries) for t in self.network.segmentors]
        return (*images, *(torch.ones(count) for count in counts if count))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run everything; inputs and outputs are in the order of their names."""
        named = dict(zip(self.inputs, inputs, strict=True))
        encoded = {
            name: cast("Embeddings", encoder(named[image(name)]))
            for name, encoder in self.network.encoders.items()
        }
        outputs = [level for embeddings in encoded.values() for level in embeddings.levels]
        for subtask in self.network.segmentors:
            mask = named.get(message_mask_input(subtask))
            outputs += self._segment(subtask, named[image(subtask)], encoded, mask)
        return tuple(outputs)

    def _segment(
        self,
        subtask: str,
        own_image: Tensor,
        encoded: Mapping[str, Embeddings],
        mask: Tensor | None,
    ) -> Iterator[Tensor]:
        """Run a segmentor with a factor, 0 or 1, for each message.

        A muted message has a pooled map of zeros and no kappa. A kappa has an effect only through
        its alignment convolutions, so their output is multiplied by the factor, and the message.
        """
        segmentor, encoder = self.network.segmentor(subtask), _encoder(self.network, subtask)
        messages = {}
        hooks = [segmentor.output.register_forward_hook(_with_two_channels)]
        for k, name in enumerate(segmentor.auxiliaries):
            factor = cast("Tensor", mask)[k]
            messages[name] = tuple(level * factor for level in encoded[name].levels)
            hooks += [
                align.register_forward_hook(lambda _m, _i, out, factor=factor: out * factor)
                for align in segmentor.alignment_layers(name)
            ]
        blocks = last_blocks(encoder, segmentor)
        try:
            with record_norm_statistics(blocks) as statistics:
                own = Embeddings(encoder.first_block(own_image), encoded[subtask].levels)
                state = segmentor.filter(own, messages)
                logits = segmentor.predict(state)
        finally:
            for hook in hooks:
                hook.remove()
        yield from (logits, state.deep, *(state.kappas[name] for name in segmentor.auxiliaries))
        yield from (value for block in blocks if statistics for value in statistics[block])


def _encoder(network: CIML, name: str) -> Encoder:
    return cast("Encoder", network.encoders[name])


def _with_two_channels(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Compute a single output channel twice and drop one.

    OpenVINO has no matrix instructions for a convolution with one output channel; with two it takes
    less than a fifth of the time.
    """
    if output.shape[1] > 1:
        return output
    conv = cast("nn.Conv3d", layer)
    weight, bias = conv.weight.repeat(2, 1, 1, 1, 1), cast("Tensor", conv.bias).repeat(2)
    return functional.conv3d(inputs[0], weight, bias, padding=conv.padding)[:, :1]
