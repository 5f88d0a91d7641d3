"""The cross-modality information gate, CIG (section 3.2, Fig. 8, Table 1)."""

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
"""Draws eps, from N(0, 1), in the shape and on the device of the tensor given."""


class Gated(NamedTuple):
    """The complementary information of each message that is not muted, (B, C, Z, Y, X), and its KL.

    ``kl`` is eq. 10 in closed form, averaged over voxels, channels and messages; None where
    kappa is not sampled from a distribution.
    """

    kappas: dict[str, Tensor]
    kl: Tensor | None


def kl_to_standard_normal(mu: Tensor, sigma: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) averaged over all elements (eq. 10); a scalar in nats."""
    return (0.5 * (mu.square() + sigma.square() - 1) - sigma.log()).mean()


class Gate(nn.Module):
    """One CIG: filters what is complementary out of the messages of one level.

    Parameters
    ----------
    channels : int
        Channels of the own embedding and of every message at this level.
    auxiliaries : sequence of str
        The modalities that send messages, in a fixed order.
    settings : NetworkSettings
        Which of attention and variational information are used.
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
    ) -> Gated:
        """Filter the messages.

        Parameters
        ----------
        own : torch.Tensor
            The segmentor's own embedding, (B, C, Z, Y, X).
        messages : mapping of str to torch.Tensor
            By auxiliary modality, each (B, C, Z, Y, X); one that is left out is muted: its pooled
            map is zero and it has no kappa.
        noise : callable, optional
            Draws eps for kappa = mu + sigma * eps, and the KL is computed (training); without it
            kappa = mu.
        """
        gated = self._attend(own, messages)
        if not self.variational:
            return Gated(gated, None)
        kappas, divergences = {}, []
        for name, message in gated.items():
            mu = self.mu[name](message).float()
            if noise is not None:
                sigma = functional.softplus(self.sigma[name](message).float()) + SIGMA_FLOOR
                divergences.append(kl_to_standard_normal(mu, sigma))
                mu = mu + sigma * noise(sigma)
            kappas[name] = mu.to(message.dtype)
        if noise is None:
            return Gated(kappas, None)
        return Gated(kappas, torch.stack(divergences).mean() if divergences else own.new_zeros(()))

    def join(self, own: Tensor, kappas: Mapping[str, Tensor]) -> Tensor:
        """Concatenate the own embedding and the aligned sum of all kappas: (B, 2C, Z, Y, X)."""
        return torch.cat([own, self.aligned(own, kappas)], dim=1)

    def aligned(self, own: Tensor, kappas: Mapping[str, Tensor]) -> Tensor:
        """Sum the kappas, each through its 1x1x1 convolution: (B, C, Z, Y, X), as ``own``."""
        total = torch.zeros_like(own)
        for name, kappa in kappas.items():
            total = total + self.align[name](kappa)
        return total

    def backproject_gradient(self, name: str, gradient: Tensor) -> Tensor:
        """Turn a gradient, (C,), with respect to `aligned` into that to the kappa of a message."""
        weight = cast("nn.Conv3d", self.align[name]).weight[:, :, 0, 0, 0]
        return gradient @ weight.to(gradient)

    def _attend(self, own: Tensor, messages: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # PyTorch's bf16 gradients of a 3x3x3 convolution over two voxels an edge come out infinite,
        # not a number, or merely wrong on CPUs (torch 2.13); over three and more they do not.
        if min(own.shape[2:]) > _FEW_VOXELS:
            return self._weighted(own, messages)
        with torch.autocast(own.device.type, enabled=False):
            return self._weighted(_single(own), {n: _single(m) for n, m in messages.items()})

    def _weighted(self, own: Tensor, messages: Mapping[str, Tensor]) -> dict[str, Tensor]:
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


def _single(values: Tensor) -> Tensor:
    """Return values in single precision, or in a higher one that they are in already."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _pointwise(channels: int, names: tuple[str, ...]) -> nn.ModuleDict:
    return nn.ModuleDict({name: nn.Conv3d(channels, channels, 1) for name in names})


def _basic_fusion(channels: int, settings: NetworkSettings) -> nn.Sequential:
    """Return the "+ Message" row of Table 5: one convolution with norm and sigmoid."""
    return nn.Sequential(
        nn.Conv3d(channels, channels, 3, padding=1, bias=False),
        make_norm(settings.norm, channels),
        nn.Sigmoid(),
    )
