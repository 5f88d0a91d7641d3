"""The predictor's last level on its own, its norms held at the statistics of a whole tile.

A norm whose statistics are held is a fixed affine map, as batch norm's is at inference, and folds
into the convolution before it. So any part of a tile can be run again, and gradients taken of it:
through live statistics a norm passes back gradients whose sum over the voxels is zero, but for the
border, and the mean of eq. 15 would be that of rounding and padding.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ciml.network.encoder import Encoder
from napari_ciml.network.segmentor import Segmentor

Statistics = tuple[Tensor, Tensor]
"""Mean and variance of each channel before a norm, (C,) float32."""


class ShallowState(NamedTuple):
    """What a tile's logits are made of at the shallowest gate, apart from the image.

    Parameters
    ----------
    own, deep : torch.Tensor
        The own embedding and Up3's first half, (1, C, P/2 ...).
    kappas : dict of str to torch.Tensor
        Complementary information by auxiliary, (1, C, P/2 ...).
    statistics : tuple of Statistics
        Of the blocks of `last_blocks`, over the whole tile; empty where they have their own.
    """

    own: Tensor
    deep: Tensor
    kappas: dict[str, Tensor]
    statistics: tuple[Statistics, ...]

    def tensors(self) -> tuple[Tensor, ...]:
        """Return all that grows with the tile."""
        return (self.own, self.deep, *self.kappas.values())


def last_blocks(encoder: Encoder, segmentor: Segmentor) -> tuple[nn.Sequential, ...]:
    """Return the blocks that the last level consists of, in the order they are run."""
    blocks = (encoder.convs[0], segmentor.convs[-2], segmentor.ups[-1], segmentor.convs[-1])
    return tuple(cast("nn.Sequential", block) for block in blocks)


@contextmanager
def record_norm_statistics(
    blocks: Iterable[nn.Sequential],
) -> Iterator[dict[nn.Module, Statistics]]:
    """Collect the statistics that the instance norms of blocks take, by block."""
    found: dict[nn.Module, Statistics] = {}

    def measure(block: nn.Module, values: Tensor) -> None:
        values = values.detach().float()
        mean = values.mean(dim=(2, 3, 4), keepdim=True)
        found[block] = mean.flatten(), (values - mean).square().mean(dim=(0, 2, 3, 4))

    hooks = [
        block[1].register_forward_pre_hook(lambda _, given, block=block: measure(block, given[0]))
        for block in blocks
        if isinstance(block[1], nn.InstanceNorm3d)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def run_last_level(
    encoder: Encoder, segmentor: Segmentor, image: Tensor, state: ShallowState, heard: Tensor
) -> Tensor:
    """Compute logits, (1, regions, Z, Y, X), that gradients reach ``heard`` from and nothing else.

    Parameters
    ----------
    encoder, segmentor
        Of one subtask.
    image : torch.Tensor
        The encoder's input, (1, M, Z, Y, X): the tile, or what is left of it.
    state : State
        Of the same voxels.
    heard : torch.Tensor
        The aligned sum of the kappas, (1, C, Z/2, Y/2, X/2).
    """
    blocks = last_blocks(encoder, segmentor)
    statistics = state.statistics or tuple(_running(block) for block in blocks)
    first, shallow, up, last = (
        _Held(block, *known) for block, known in zip(blocks, statistics, strict=True)
    )
    with torch.no_grad():
        full = first(image)
    deep = shallow(heard, before=torch.cat([state.deep, state.own], dim=1))
    return cast("Tensor", segmentor.output(last(up(deep), behind=full)))


def _running(block: nn.Sequential) -> Statistics:
    norm = cast("nn.BatchNorm3d", block[1])
    return cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)


class _Held:
    """Convolution, norm and activation, the norm folded into the convolution."""

    def __init__(self, block: nn.Sequential, mean: Tensor, variance: Tensor) -> None:
        self.conv, norm = block[0], cast("nn.InstanceNorm3d | nn.BatchNorm3d", block[1])
        self.slope = cast("nn.LeakyReLU", block[2]).negative_slope
        weight = cast("Tensor", self.conv.weight)
        scale = norm.weight * torch.rsqrt(variance.to(weight) + norm.eps)
        self.bias = norm.bias - mean.to(weight) * scale
        outputs = 1 if isinstance(self.conv, nn.ConvTranspose3d) else 0
        self.weight = weight * scale.reshape([-1 if k == outputs else 1 for k in range(5)])

    def __call__(
        self, values: Tensor, before: Tensor | None = None, behind: Tensor | None = None
    ) -> Tensor:
        """Run; constants concatenated before or behind the values cost no gradient."""
        if isinstance(self.conv, nn.ConvTranspose3d):
            made = functional.conv_transpose3d(
                values, self.weight, self.bias, stride=2, padding=1, output_padding=1
            )
            return functional.leaky_relu(made, self.slope, inplace=True)
        start = 0 if before is None else before.shape[1]
        stop = start + values.shape[1]
        made = functional.conv3d(values, self.weight[:, start:stop], self.bias, padding=1)
        if before is not None:
            made = made + functional.conv3d(before, self.weight[:, :start], padding=1)
        if behind is not None:
            made = made + functional.conv3d(behind, self.weight[:, stop:], padding=1)
        return functional.leaky_relu(made, self.slope, inplace=True)
