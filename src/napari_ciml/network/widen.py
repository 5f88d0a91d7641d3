"""A network's weights carried over to a wider one that answers the same."""

import torch
from torch import Tensor, nn

from napari_ciml.network.ciml import CIML
from napari_ciml.network.settings import NetworkSettings


def can_widen(narrow: NetworkSettings, wide: NetworkSettings) -> bool:
    """Whether two networks differ in nothing but base filters, one a multiple of the other."""
    same = narrow.model_copy(update={"base_filters": wide.base_filters}) == wide
    return same and wide.base_filters % narrow.base_filters == 0


def widen_state_dict(
    narrow: CIML, wide: CIML, unlike: float = 0.0, generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """Return weights with which the wide network answers as the narrow one.

    Each channel is repeated, and what reads the copies shares its weights out among them.

    Parameters
    ----------
    narrow, wide : CIML
        Of the same decomposition, and of settings for which `can_widen` holds.
    unlike : float
        Spread of the shares, which add up to 1. With equal shares (0) copies have equal gradients
        and stay copies: fit for inference alone.
    generator : torch.Generator, optional
        The shares are drawn from it.
    """
    transposed = {
        f"{name}.weight"
        for name, layer in wide.named_modules()
        if isinstance(layer, nn.ConvTranspose3d)
    }
    old, new = narrow.state_dict(), wide.state_dict()
    result = {}
    for name, like in new.items():
        weights = old[name]
        for axis in range(min(weights.ndim, 2)):
            times = like.shape[axis] // weights.shape[axis]
            weights = weights.repeat_interleave(times, dim=axis)
        read = 0 if name in transposed else 1
        if like.ndim > 1:
            times = like.shape[read] // old[name].shape[read]
            weights = weights * _shares(like, read, times, unlike, generator)
        result[name] = weights
    return result


def _shares(
    like: Tensor, axis: int, times: int, unlike: float, generator: torch.Generator | None
) -> Tensor:
    """Draw how much of a weight each copy along an axis gets, for every output by itself."""
    kept, read = like.shape[1 - axis], like.shape[axis] // times
    drawn = torch.randn((kept, read, times), generator=generator) * unlike
    shares = (1 / times + drawn - drawn.mean(dim=2, keepdim=True)).reshape(kept, read * times)
    shares = shares.T if axis == 0 else shares
    return shares.reshape(*shares.shape, *(1 for _ in like.shape[2:])).to(like)
