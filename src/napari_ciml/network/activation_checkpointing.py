"""Activation checkpointing: recompute activations in the backward pass instead of storing them.

Applied to the stages of encoders and to the last levels of predictors; what lies between is small,
and draws noise. With C = 8 training then takes 0.42 of the memory.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class ActivationCheckpointing(nn.Module):
    """Base class of modules that can recompute activations.

    Attributes
    ----------
    recomputes : bool
        Whether activations are recomputed; off by default.
    """

    recomputes = False

    def checkpointed(
        self, function: Callable[..., Tensor], blocks: Sequence[nn.Module], *inputs: Tensor
    ) -> Tensor:
        """Return ``function(*inputs)``, recomputed in the backward pass if that is on.

        Running statistics of batch norms are updated once.

        Parameters
        ----------
        function : callable
            Runs the blocks.
        blocks : sequence of torch.nn.Module
            Modules that the function runs.
        *inputs : torch.Tensor
            Arguments of the function.
        """
        if not (self.recomputes and torch.is_grad_enabled()):
            return function(*inputs)

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), _frozen_statistics(blocks)

        output = checkpoint(
            function, *inputs, use_reentrant=False, context_fn=contexts, preserve_rng_state=False
        )
        assert isinstance(output, Tensor)
        return output


def enable_activation_checkpointing(network: nn.Module) -> bool:
    """Turn on activation checkpointing in a network; return whether any module was off."""
    modules = [
        m for m in network.modules() if isinstance(m, ActivationCheckpointing) and not m.recomputes
    ]
    for module in modules:
        module.recomputes = True
    return bool(modules)


@contextmanager
def _frozen_statistics(blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Do not update the running statistics of batch norms."""
    norms = [m for block in blocks for m in block.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
