"""Convolution blocks of Table 1: convolution, normalisation, activation."""

from torch import Tensor, nn

from napari_ciml.network.settings import NormName

_NEGATIVE_SLOPE = 0.01


def make_norm(norm: NormName, channels: int) -> nn.Module:
    """Return a normalisation layer."""
    if norm == "batch":
        return nn.BatchNorm3d(channels)
    return nn.InstanceNorm3d(channels, affine=True)


def conv_block(
    in_channels: int, out_channels: int, norm: NormName, stride: int = 1
) -> nn.Sequential:
    """Return Conv3d 3x3x3 + norm + LeakyReLU. No bias, which the norm's shift would replace."""
    return nn.Sequential(
        nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        make_norm(norm, out_channels),
        nn.LeakyReLU(_NEGATIVE_SLOPE, inplace=True),
    )


def up_block(in_channels: int, out_channels: int, norm: NormName) -> nn.Sequential:
    """Return ConvTranspose3d 3x3x3 of stride 2 + norm + LeakyReLU, which doubles every edge."""
    return nn.Sequential(
        nn.ConvTranspose3d(
            in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False
        ),
        make_norm(norm, out_channels),
        nn.LeakyReLU(_NEGATIVE_SLOPE, inplace=True),
    )


def initialise(module: nn.Module) -> None:
    """Initialise all convolutions of a module for LeakyReLU (He et al., 2015); biases are 0.

    Weights on the meta device are skipped, for which PyTorch would import modules for a second.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, a=_NEGATIVE_SLOPE)
            if isinstance(layer.bias, Tensor):
                nn.init.zeros_(layer.bias)
