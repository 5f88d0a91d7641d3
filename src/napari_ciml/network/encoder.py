"""The message generator: the encoder of a segmentor (Table 1, Down1 to Down4)."""

from typing import NamedTuple

from torch import Tensor, nn

from napari_ciml.network.activation_checkpointing import ActivationCheckpointing
from napari_ciml.network.blocks import conv_block
from napari_ciml.network.settings import LEVELS, NetworkSettings


class Embeddings(NamedTuple):
    """What an encoder makes of its input.

    ``full`` is the first convolution's output, (B, C, P, P, P); it never leaves its own segmentor,
    and is empty where only the messages are wanted.
    ``levels`` are the outputs of the four stages, (B, C, P/2 ...), (B, 2C, P/4 ...),
    (B, 4C, P/8 ...), (B, 8C, P/16 ...): own embeddings, and messages to the others.
    """

    full: Tensor
    levels: tuple[Tensor, ...]


class Encoder(ActivationCheckpointing):
    """Four stages, each a 3x3x3 convolution and a strided one.

    Parameters
    ----------
    inputs : int
        Modalities it sees together.
    settings : NetworkSettings
        Widths and norm.
    """

    def __init__(self, inputs: int, settings: NetworkSettings) -> None:
        super().__init__()
        widths = [settings.base_filters * 2**level for level in range(LEVELS)]
        before = [inputs, *widths[:-1]]
        norm = settings.norm
        self.convs = nn.ModuleList(
            conv_block(a, b, norm) for a, b in zip(before, widths, strict=True)
        )
        self.downs = nn.ModuleList(conv_block(width, width, norm, stride=2) for width in widths)

    def forward(self, images: Tensor) -> Embeddings:
        """Encode images, (B, inputs, Z, Y, X) with edges that are multiples of 16."""
        full = self.full(images)
        levels = [self.checkpointed(self.downs[0], [self.downs[0]], full)]
        for conv, down in zip(self.convs[1:], self.downs[1:], strict=True):
            stage = nn.Sequential(conv, down)
            levels.append(self.checkpointed(stage, [stage], levels[-1]))
        return Embeddings(full, tuple(levels))

    def full(self, images: Tensor) -> Tensor:
        """Return the first convolution's output alone."""
        first = self.convs[0]
        return self.checkpointed(first, [first], images)
