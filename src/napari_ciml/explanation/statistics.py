"""Instance norm whose gradient is that of a fixed affine map, as batch norm's is at inference."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def held_statistics(network: nn.Module) -> Iterator[None]:
    """Hold the statistics of every instance norm constant while gradients are taken.

    Values do not change. Through live statistics a norm passes back gradients whose sum over the
    voxels is zero, but for the border: the mean of eq. 15 would be that of rounding and padding.
    """
    layers = (layer for layer in network.modules() if isinstance(layer, nn.InstanceNorm3d))
    hooks = [layer.register_forward_hook(_as_affine) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _as_affine(layer: nn.InstanceNorm3d, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    (values,) = inputs
    variance = values.detach().var(dim=(2, 3, 4), keepdim=True, unbiased=False)
    scale = layer.weight.detach()[None, :, None, None, None] * torch.rsqrt(variance + layer.eps)
    scaled = values * scale
    return scaled + (output - scaled).detach()
