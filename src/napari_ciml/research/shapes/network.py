"""The network of section 4.3: one segmentor, one auxiliary encoder, no cross-modal attention."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_ciml.network.gate import SIGMA_FLOOR

_WIDTH = 8
_SLOPE = 0.01


class ShapePrediction(NamedTuple):
    """Logits of the union, and the distribution of kappa; each (N, 1, Y, X)."""

    logits: Tensor
    mu: Tensor
    sigma: Tensor

    def nats(self) -> Tensor:
        """Return the KL divergence of each pixel's kappa to N(0, 1) (eq. 10), (N, 1, Y, X)."""
        return 0.5 * (self.mu.square() + self.sigma.square() - 1) - self.sigma.log()


class ShapeNetwork(nn.Module):
    """Two encoders; the auxiliary one contributes through one noisy channel.

    The complementary path also receives the primary features, detached: without a gradient, the
    primary encoder cannot learn to send its own information through that channel.
    """

    def __init__(self) -> None:
        super().__init__()
        self.primary = _Encoder()
        self.auxiliary = _Encoder()
        self.complementary = _Decoder(2, 2)
        self.predictor = _Decoder(1, _WIDTH)
        self.output = nn.Sequential(
            _block(_WIDTH + 1, _WIDTH, kernel=1),
            _block(_WIDTH, _WIDTH, kernel=1),
            nn.Conv2d(_WIDTH, 1, 1),
        )
        # Initially kappa is N(0, 1) everywhere, so that no information is passed.
        last = self.complementary.last
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        with torch.no_grad():
            last.bias.copy_(torch.tensor([0.0, _inverse_softplus(1.0)]))

    def forward(self, primary: Tensor, auxiliary: Tensor, sample: bool) -> ShapePrediction:
        """Segment the union.

        Parameters
        ----------
        primary, auxiliary : torch.Tensor
            Images, (N, 1, Y, X).
        sample : bool
            Sample kappa, for training; else kappa = mu.
        """
        primary_levels, auxiliary_levels = self.primary(primary), self.auxiliary(auxiliary)
        detached = tuple(level.detach() for level in primary_levels)
        levels = tuple(torch.cat(pair, 1) for pair in zip(detached, auxiliary_levels, strict=True))
        mu, raw = self.complementary(levels).split(1, dim=1)
        sigma = functional.softplus(raw) + SIGMA_FLOOR
        kappa = mu + sigma * torch.randn_like(sigma) if sample else mu
        features = self.predictor(primary_levels)
        return ShapePrediction(self.output(torch.cat([features, kappa], dim=1)), mu, sigma)


class _Encoder(nn.Module):
    """Features at full and half resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(_block(1, _WIDTH), _block(_WIDTH, _WIDTH))
        self.coarse = nn.Sequential(
            _block(_WIDTH, 2 * _WIDTH, stride=2), _block(2 * _WIDTH, 2 * _WIDTH)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(image)
        return fine, self.coarse(fine)


class _Decoder(nn.Module):
    """Decoder from both resolutions of one or two encoders to full resolution."""

    def __init__(self, encoders: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * _WIDTH * encoders, _WIDTH, 2, stride=2)
        self.join = _block(_WIDTH * (encoders + 1), _WIDTH)
        self.last = nn.Conv2d(_WIDTH, outputs, 1)

    def forward(self, levels: tuple[Tensor, ...]) -> Tensor:
        fine, coarse = levels
        joined: Tensor = self.last(self.join(torch.cat([fine, self.up(coarse)], dim=1)))
        return joined


def _block(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2),
        nn.LeakyReLU(_SLOPE),
    )


def _inverse_softplus(value: float) -> float:
    return float(torch.log(torch.expm1(torch.tensor(value))))
