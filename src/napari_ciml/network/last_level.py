"""Last level of the predictor, run alone with norm statistics fixed to those of a whole tile.

A norm with fixed statistics is an affine map, as batch norm is at inference, and folds into the
convolution before it. Any part of a tile can then be run again, and gradients are meaningful:
through live instance statistics the gradient sums to zero over the voxels but for the border, and
the mean of eq. 15 would consist of rounding and padding.
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
    """State of a segmentor at the shallowest gate, from which with the image logits follow.

    Parameters
    ----------
    own, deep : torch.Tensor
        Own embedding and output of the first half of Up3, (1, C, P/2 ...).
    kappas : dict of str to torch.Tensor
        Complementary information by auxiliary, (1, C, P/2 ...).
    statistics : tuple of Statistics
        Statistics of the blocks of `last_blocks` over the whole tile; empty with batch norm.
    """

    own: Tensor
    deep: Tensor
    kappas: dict[str, Tensor]
    statistics: tuple[Statistics, ...]

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the tensors whose size depends on the tile."""
        return (self.own, self.deep, *self.kappas.values())


def last_blocks(encoder: Encoder, segmentor: Segmentor) -> tuple[nn.Sequential, ...]:
    """Return the blocks of the last level, in the order in which they are run."""
    blocks = (encoder.convs[0], segmentor.convs[-2], segmentor.ups[-1], segmentor.convs[-1])
    return tuple(cast("nn.Sequential", block) for block in blocks)


@contextmanager
def record_norm_statistics(
    blocks: Iterable[nn.Sequential],
) -> Iterator[dict[nn.Module, Statistics]]:
    """Record the statistics of blocks with instance norm while they run.

    Yields
    ------
    dict of torch.nn.Module to Statistics
        By block; filled when the block runs, and without blocks that have batch norm.
    """
    statistics: dict[nn.Module, Statistics] = {}

    def record(block: nn.Module, values: Tensor) -> None:
        values = values.detach().float()
        mean = values.mean(dim=(2, 3, 4), keepdim=True)
        statistics[block] = mean.flatten(), (values - mean).square().mean(dim=(0, 2, 3, 4))

    hooks = [
        block[1].register_forward_pre_hook(lambda _, inputs, block=block: record(block, inputs[0]))
        for block in blocks
        if isinstance(block[1], nn.InstanceNorm3d)
    ]
    try:
        yield statistics
    finally:
        for hook in hooks:
            hook.remove()


def run_last_level(
    encoder: Encoder, segmentor: Segmentor, image: Tensor, state: ShallowState, aligned: Tensor
) -> Tensor:
    """Compute logits, (1, regions, Z, Y, X), differentiable with respect to ``aligned`` only.

    Parameters
    ----------
    encoder, segmentor
        Encoder and segmentor of one subtask.
    image : torch.Tensor
        Input of the encoder, (1, M, Z, Y, X): a tile or a part of it.
    state : ShallowState
        State of the same voxels.
    aligned : torch.Tensor
        Aligned sum of the kappas, (1, C, Z/2, Y/2, X/2).
    """
    blocks = last_blocks(encoder, segmentor)
    statistics = state.statistics or tuple(_running_statistics(block) for block in blocks)
    first, shallow, up, last = (
        _FoldedBlock(block, *known) for block, known in zip(blocks, statistics, strict=True)
    )
    with torch.no_grad():
        full = first(image)
    deep = shallow(aligned, before=torch.cat([state.deep, state.own], dim=1))
    return cast("Tensor", segmentor.output(last(up(deep), behind=full)))


def _running_statistics(block: nn.Sequential) -> Statistics:
    norm = cast("nn.BatchNorm3d", block[1])
    return cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)


class _FoldedBlock:
    """Convolution, norm and activation, with the norm folded into the convolution.

    Parameters
    ----------
    block : torch.nn.Sequential
        Convolution, norm and activation.
    mean, variance : torch.Tensor
        Statistics of the norm, (C,).
    """

    def __init__(self, block: nn.Sequential, mean: Tensor, variance: Tensor) -> None:
        self.conv, norm = block[0], cast("nn.InstanceNorm3d | nn.BatchNorm3d", block[1])
        self.slope = cast("nn.LeakyReLU", block[2]).negative_slope
        weight = cast("Tensor", self.conv.weight)
        scale = norm.weight * torch.rsqrt(variance.to(weight) + norm.eps)
        self.bias = norm.bias - mean.to(weight) * scale
        out_axis = 1 if isinstance(self.conv, nn.ConvTranspose3d) else 0
        self.weight = weight * scale.reshape([-1 if k == out_axis else 1 for k in range(5)])

    def __call__(
        self, values: Tensor, before: Tensor | None = None, behind: Tensor | None = None
    ) -> Tensor:
        """Run the block.

        Parameters
        ----------
        values : torch.Tensor
            Input that gradients reach.
        before, behind : torch.Tensor, optional
            Constant inputs, concatenated before and behind ``values``; they cost no gradient.
        """
        if isinstance(self.conv, nn.ConvTranspose3d):
            output = functional.conv_transpose3d(
                values, self.weight, self.bias, stride=2, padding=1, output_padding=1
            )
            return functional.leaky_relu(output, self.slope, inplace=True)
        start = 0 if before is None else before.shape[1]
        stop = start + values.shape[1]
        output = functional.conv3d(values, self.weight[:, start:stop], self.bias, padding=1)
        if before is not None:
            output = output + functional.conv3d(before, self.weight[:, :start], padding=1)
        if behind is not None:
            output = output + functional.conv3d(behind, self.weight[:, stop:], padding=1)
        return functional.leaky_relu(output, self.slope, inplace=True)
