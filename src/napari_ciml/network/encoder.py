"""Encoder, called message generator in the paper (Table 1, Down1 to Down4)."""

from typing import NamedTuple

from torch import Tensor, nn

from napari_ciml.network.activation_checkpointing import ActivationCheckpointing
from napari_ciml.network.blocks import conv_block
from napari_ciml.network.settings import LEVELS, NetworkSettings


class Embeddings(NamedTuple):
    """Output of an encoder.

    Parameters
    ----------
    full : torch.Tensor
        Output of the first convolution, (B, C, P, P, P). It is used by the own segmentor only, and
        empty where only messages are needed.
    levels : tuple of torch.Tensor
        Outputs of the four stages, (B, C, P/2 ...), (B, 2C, P/4 ...), (B, 4C, P/8 ...) and
        (B, 8C, P/16 ...): the own embeddings, and the messages to other segmentors.
    """

    full: Tensor
    levels: tuple[Tensor, ...]


class Encoder(ActivationCheckpointing):
    """Four stages, each a 3x3x3 convolution and a strided one.

    Parameters
    ----------
    in_channels : int
        Number of modalities in the input.
    settings : NetworkSettings
        Width and norm.
    """

    def __init__(self, in_channels: int, settings: NetworkSettings) -> None:
        super().__init__()
        widths = [settings.base_filters * 2**level for level in range(LEVELS)]
        norm = settings.norm
        self.convs = nn.ModuleList(
            conv_block(a, b, norm) for a, b in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.downs = nn.ModuleList(conv_block(width, width, norm, stride=2) for width in widths)

    def forward(self, images: Tensor) -> Embeddings:
        """Encode images, (B, in_channels, Z, Y, X) with edges that are multiples of 16."""
        full = self.first_block(images)
        levels = [self.checkpointed(self.downs[0], [self.downs[0]], full)]
        for conv, down in zip(self.convs[1:], self.downs[1:], strict=True):
            stage = nn.Sequential(conv, down)
            levels.append(self.checkpointed(stage, [stage], levels[-1]))
        return Embeddings(full, tuple(levels))

    def first_block(self, images: Tensor) -> Tensor:
        """Run the first convolution block alone: `Embeddings.full`, (B, C, Z, Y, X)."""
        block = self.convs[0]
        return self.checkpointed(block, [block], images)
