"""Interpolation between the initial and the fine-tuned weights."""

from collections.abc import Mapping

from torch import Tensor, lerp

from napari_ciml.network.ciml import CIML
from napari_ciml.network.transfer import TransferredNetwork

_FACTORS = (0.5, 0.75)


def interpolation_factors(largest: float) -> tuple[float, ...]:
    """Return the factors to evaluate: the first during training, all of them at its end."""
    return (*(factor for factor in _FACTORS if factor < largest), largest)


def interpolate_weights(
    transferred: TransferredNetwork, initial: Mapping[str, Tensor], factor: float
) -> CIML:
    """Return a network between the initial and the fine-tuned weights.

    Such a network keeps most of what was learnt and is more accurate on other data than either end
    (Wortsman et al., Robust fine-tuning of zero-shot models, 2022).

    Parameters
    ----------
    transferred : TransferredNetwork
        Its ``network`` has the fine-tuned weights.
    initial : mapping of str to torch.Tensor
        State dict before the fine-tune.
    factor : float
        Position between the initial weights (0) and the fine-tuned ones (1). Parameters that were
        initialised at random have no initial value to return to: they keep their fine-tuned one. So
        do all parameters if the network predicts a region that it did not predict before.
    """
    network = transferred.network
    if factor == 1 or transferred.untrained:
        return network
    state = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    interpolated = CIML(network.decomposition, network.settings)
    interpolated.load_state_dict(
        {
            name: value
            if name in transferred.randomly_initialised or not value.is_floating_point()
            else lerp(initial[name], value, factor)
            for name, value in state.items()
        }
    )
    return interpolated.to(next(network.parameters()).device)
