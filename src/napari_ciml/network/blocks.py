"""Convolution, normalisation, activation: the bricks of Table 1."""

from torch import Tensor, nn

from napari_ciml.network.settings import NormName

_SLOPE = 0.01


def make_norm(norm: NormName, channels: int) -> nn.Module:
    """Return the normalisation layer for ``channels`` channels."""
    if norm == "batch":
        return nn.BatchNorm3d(channels)
    return nn.InstanceNorm3d(channels, affine=True)


def conv_block(inputs: int, outputs: int, norm: NormName, stride: int = 1) -> nn.Sequential:
    """Conv3D 3x3x3 + Norm + LeakyReLU; the norm's shift makes a bias redundant."""
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        make_norm(norm, outputs),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )


def up_block(inputs: int, outputs: int, norm: NormName) -> nn.Sequential:
    """ConvTranspose3d 3x3x3 of stride 2 + Norm + LeakyReLU: doubles every edge."""
    return nn.Sequential(
        nn.ConvTranspose3d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=False),
        make_norm(norm, outputs),
        nn.LeakyReLU(_SLOPE, inplace=True),
    )


def initialise(module: nn.Module) -> None:
    """Draw the weights of every convolution below ``module`` as He et al. do for LeakyReLU.

    On the meta device there is nothing to draw, and asking for it would import for a second.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
            if isinstance(layer.bias, Tensor):
                nn.init.zeros_(layer.bias)
