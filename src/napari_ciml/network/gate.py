"""Cross-modality information gate, CIG (section 3.2, Fig. 8, Table 1)."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ciml.network.blocks import conv_block, make_norm
from napari_ciml.network.settings import NetworkSettings

SIGMA_FLOOR = 1e-3
_FEW_VOXELS = 2

Noise = Callable[[Tensor], Tensor]
"""Draws eps from N(0, 1) in the shape and on the device of a tensor."""


class GateOutput(NamedTuple):
    """Output of a gate.

    Parameters
    ----------
    kappas : dict of str to torch.Tensor
        Complementary information by auxiliary modality, (B, C, Z, Y, X); muted ones are left out.
    kl : torch.Tensor or None
        KL term of eq. 10 in closed form, averaged over voxels, channels and messages; None if kappa
        was not sampled.
    """

    kappas: dict[str, Tensor]
    kl: Tensor | None


def kl_to_standard_normal(mu: Tensor, sigma: Tensor) -> Tensor:
    """Return KL(N(mu, sigma^2) || N(0, 1)) averaged over all elements, in nats (eq. 10)."""
    return (0.5 * (mu.square() + sigma.square() - 1) - sigma.log()).mean()


class Gate(nn.Module):
    """Extract complementary information from the messages of one level.

    Parameters
    ----------
    channels : int
        Channels of the own embedding and of every message at this level.
    auxiliaries : tuple of str
        Auxiliary modalities, in a fixed order.
    settings : NetworkSettings
        Norm, and whether attention and variational information are used.
    """

    def __init__(
        self, channels: int, auxiliaries: tuple[str, ...], settings: NetworkSettings
    ) -> None:
        super().__init__()
        self.auxiliaries = auxiliaries
        self.variational = settings.variational
        count = len(auxiliaries)
        hidden = 4 * (count + 1)
        self.attention = (
            nn.Sequential(
                conv_block(count + 1, hidden, settings.norm),
                nn.Conv3d(hidden, count, 1, bias=False),
                make_norm(settings.norm, count),
                nn.Sigmoid(),
            )
            if settings.attention
            else None
        )
        self.mu = _pointwise(channels, auxiliaries if settings.variational else ())
        self.sigma = _pointwise(channels, auxiliaries if settings.variational else ())
        self.fusion = nn.ModuleDict()
        if not settings.attention and not settings.variational:
            for name in auxiliaries:
                self.fusion[name] = _basic_fusion(channels, settings)
        self.align = _pointwise(channels, auxiliaries)

    def forward(
        self, own: Tensor, messages: Mapping[str, Tensor], noise: Noise | None = None
    ) -> GateOutput:
        """Compute kappa for every message.

        Parameters
        ----------
        own : torch.Tensor
            Own embedding of the segmentor, (B, C, Z, Y, X).
        messages : mapping of str to torch.Tensor
            By auxiliary modality, each (B, C, Z, Y, X). A missing one is muted: its pooled map is
            zero and it has no kappa.
        noise : callable, optional
            Draws eps: kappa = mu + sigma * eps (eq. 9), and the KL term is computed. Without it
            kappa = mu.
        """
        attended = self._attend(own, messages)
        if not self.variational:
            return GateOutput(attended, None)
        kappas, divergences = {}, []
        for name, message in attended.items():
            mu = self.mu[name](message).float()
            if noise is not None:
                sigma = functional.softplus(self.sigma[name](message).float()) + SIGMA_FLOOR
                divergences.append(kl_to_standard_normal(mu, sigma))
                mu = mu + sigma * noise(sigma)
            kappas[name] = mu.to(message.dtype)
        if noise is None:
            return GateOutput(kappas, None)
        kl = torch.stack(divergences).mean() if divergences else own.new_zeros(())
        return GateOutput(kappas, kl)

    def join(self, own: Tensor, kappas: Mapping[str, Tensor]) -> Tensor:
        """Concatenate the own embedding and the aligned sum of the kappas: (B, 2C, Z, Y, X)."""
        return torch.cat([own, self.aligned_sum(own, kappas)], dim=1)

    def aligned_sum(self, own: Tensor, kappas: Mapping[str, Tensor]) -> Tensor:
        """Sum the kappas, each through its 1x1x1 convolution; shape and type of ``own``."""
        total = torch.zeros_like(own)
        for name, kappa in kappas.items():
            total = total + self.align[name](kappa)
        return total

    def backproject_gradient(self, name: str, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to a kappa.

        Parameters
        ----------
        name : str
            Auxiliary modality of the kappa.
        gradient : torch.Tensor
            Gradient with respect to `aligned_sum`, (C,).

        Returns
        -------
        torch.Tensor
            (C,).
        """
        weight = cast("nn.Conv3d", self.align[name]).weight[:, :, 0, 0, 0]
        return gradient @ weight.to(gradient)

    def _attend(self, own: Tensor, messages: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # bf16 gradients of a 3x3x3 convolution over two voxels an edge are infinite, not a number
        # or merely wrong on CPUs (PyTorch 2.13); over three and more they are right.
        if min(own.shape[2:]) > _FEW_VOXELS:
            return self._weight_messages(own, messages)
        with torch.autocast(own.device.type, enabled=False):
            exact = {name: _single_precision(message) for name, message in messages.items()}
            return self._weight_messages(_single_precision(own), exact)

    def _weight_messages(self, own: Tensor, messages: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Multiply messages by their spatial attention, or fuse them where there is none."""
        if self.attention is None:
            return {
                name: self.fusion[name](message) if name in self.fusion else message
                for name, message in messages.items()
            }
        pooled = own.mean(dim=1, keepdim=True)
        maps = [
            messages[name].mean(dim=1, keepdim=True)
            if name in messages
            else torch.zeros_like(pooled)
            for name in self.auxiliaries
        ]
        weights = self.attention(torch.cat([pooled, *maps], dim=1))
        return {
            name: messages[name] * weights[:, k : k + 1]
            for k, name in enumerate(self.auxiliaries)
            if name in messages
        }


def _single_precision(values: Tensor) -> Tensor:
    """Convert values to float32, unless they have a higher precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _pointwise(channels: int, names: tuple[str, ...]) -> nn.ModuleDict:
    return nn.ModuleDict({name: nn.Conv3d(channels, channels, 1) for name in names})


def _basic_fusion(channels: int, settings: NetworkSettings) -> nn.Sequential:
    """Return the fusion of the "+ Message" row of Table 5: convolution, norm, sigmoid."""
    return nn.Sequential(
        nn.Conv3d(channels, channels, 3, padding=1, bias=False),
        make_norm(settings.norm, channels),
        nn.Sigmoid(),
    )
