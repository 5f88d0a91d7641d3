"""Weights between the old ones and the learnt ones: most of the gain, little of the harm."""

from collections.abc import Mapping

from torch import Tensor, lerp

from napari_ciml.network.ciml import CIML
from napari_ciml.network.transfer import TransferredNetwork

_SHARES = (0.5, 0.75)


def interpolation_factors(most: float) -> tuple[float, ...]:
    """Return how far versions go: the first while they learn, the others if they do no harm."""
    return (*(share for share in _SHARES if share < most), most)


def interpolate_weights(
    begun: TransferredNetwork, first: Mapping[str, Tensor], share: float
) -> CIML:
    """Return a network part of the way between what it began as and what it is now.

    Interpolating the weights of a network and of what fine-tuning made of it keeps most of what was
    learnt and is more accurate on other data than either (Wortsman et al., Robust fine-tuning of
    zero-shot models, 2022).

    Parameters
    ----------
    begun : Transfer
        Its network is what has learnt.
    first : mapping of str to torch.Tensor
        The weights it began with.
    share : float
        Of the way. What was drawn at random goes all of it, having nothing to go back to; so does
        everything if the network was given a region that it did not predict.
    """
    network = begun.network
    if share == 1 or begun.untrained:
        return network
    between = CIML(network.decomposition, network.settings)
    between.load_state_dict(
        {
            name: now
            if name in begun.randomly_initialised or not now.is_floating_point()
            else lerp(first[name], now, share)
            for name, now in ((k, v.detach().cpu()) for k, v in network.state_dict().items())
        }
    )
    return between.to(next(network.parameters()).device)
