"""Widen a network without changing its output (Net2WiderNet, Chen et al., 2016)."""

import torch
from torch import Tensor, nn

from napari_ciml.network.ciml import CIML
from napari_ciml.network.settings import NetworkSettings


def can_widen(narrow: NetworkSettings, wide: NetworkSettings) -> bool:
    """Whether two settings differ only in base filters, and one is a multiple of the other."""
    same = narrow.model_copy(update={"base_filters": wide.base_filters}) == wide
    return same and wide.base_filters % narrow.base_filters == 0


def widen_state_dict(
    narrow: CIML, wide: CIML, spread: float = 0.0, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """Return weights with which the wide network computes the output of the narrow one.

    Each channel is repeated, and the weights that read it are divided among its copies.

    Parameters
    ----------
    narrow, wide : CIML
        Networks of the same decomposition whose settings satisfy `can_widen`.
    spread : float
        Standard deviation of the fractions, which add up to 1. With equal fractions (0) copies have
        equal gradients and stay copies, which suits inference only.
    generator : torch.Generator, optional
        Random generator of the fractions.
    """
    transposed = {
        f"{name}.weight"
        for name, layer in wide.named_modules()
        if isinstance(layer, nn.ConvTranspose3d)
    }
    source = narrow.state_dict()
    result = {}
    for name, target in wide.state_dict().items():
        weights = source[name]
        for axis in range(min(weights.ndim, 2)):
            copies = target.shape[axis] // weights.shape[axis]
            weights = weights.repeat_interleave(copies, dim=axis)
        in_axis = 0 if name in transposed else 1
        if target.ndim > 1:
            copies = target.shape[in_axis] // source[name].shape[in_axis]
            weights = weights * _fractions(target, in_axis, copies, spread, generator)
        result[name] = weights
    return result


def _fractions(
    target: Tensor, in_axis: int, copies: int, spread: float, generator: torch.Generator | None
) -> Tensor:
    """Draw the fraction of a weight for each copy of an input channel, by output channel."""
    outputs, inputs = target.shape[1 - in_axis], target.shape[in_axis] // copies
    noise = torch.randn((outputs, inputs, copies), generator=generator) * spread
    fractions = 1 / copies + noise - noise.mean(dim=2, keepdim=True)
    fractions = fractions.reshape(outputs, inputs * copies)
    fractions = fractions.T if in_axis == 0 else fractions
    return fractions.reshape(*fractions.shape, *(1 for _ in target.shape[2:])).to(target)
