"""A segmentor without its encoder: complementary information filter and predictor (Fig. 4, 5)."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from napari_ciml.decomposition.model import Subtask
from napari_ciml.network.activation_checkpointing import ActivationCheckpointing
from napari_ciml.network.blocks import conv_block, up_block
from napari_ciml.network.encoder import Embeddings
from napari_ciml.network.gate import Gate, Noise
from napari_ciml.network.settings import LEVELS, NetworkSettings


class Prediction(NamedTuple):
    """Logits, (B, regions, Z, Y, X), and the KL averaged over the levels (None: not sampled)."""

    logits: Tensor
    kl: Tensor | None


class Filtered(NamedTuple):
    """A segmentor's state at the shallowest gate (P/2), all that `Segmentor.predict` needs.

    ``deep`` is Up3's first half, (B, C, P/2 ...); ``kappas`` the complementary information of
    each message, (B, C, P/2 ...): A of eq. 14.
    """

    own: Embeddings
    deep: Tensor
    kappas: dict[str, Tensor]
    kl: Tensor | None


class Segmentor(ActivationCheckpointing):
    """Filter and predictor of one subtask (Table 1, Decoder).

    Parameters
    ----------
    subtask : Subtask
        Its regions become output channels, its auxiliaries messages.
    settings : NetworkSettings
        Widths, norm, and which parts are there.
    """

    def __init__(self, subtask: Subtask, settings: NetworkSettings) -> None:
        super().__init__()
        width, norm = settings.base_filters, settings.norm
        self.auxiliaries = subtask.auxiliaries if settings.message else ()
        joined = 2 if self.auxiliaries else 1
        widths = [width * 2**level for level in reversed(range(LEVELS))]
        self.gates = nn.ModuleList(
            Gate(channels, self.auxiliaries, settings) for channels in widths if self.auxiliaries
        )
        below = [joined * widths[0], *widths[:-1]]
        above = [*widths[:-1], width]
        skips = [joined * channels for channels in widths[1:]] + [width]
        self.ups = nn.ModuleList(up_block(a, b, norm) for a, b in zip(below, above, strict=True))
        self.convs = nn.ModuleList(
            conv_block(a + skip, a, norm) for a, skip in zip(above, skips, strict=True)
        )
        self.output = nn.Conv3d(width, len(subtask.regions), 3, padding=1)

    def forward(
        self,
        own: Embeddings,
        messages: Mapping[str, tuple[Tensor, ...]],
        noise: Noise | None = None,
    ) -> Prediction:
        """Predict the subtask's regions.

        Parameters
        ----------
        own : Embeddings
            Of the primary modalities.
        messages : mapping of str to tuple of torch.Tensor
            The levels of each auxiliary modality's encoder; one left out is muted.
        noise : callable, optional
            As in `Gate.forward`.
        """
        state = self.filter(own, messages, noise)
        return Prediction(self.predict(state), state.kl)

    def filter(
        self,
        own: Embeddings,
        messages: Mapping[str, tuple[Tensor, ...]],
        noise: Noise | None = None,
    ) -> Filtered:
        """Run everything below, and including, the shallowest gate."""
        divergences: list[Tensor] = []
        kappas = self._gate(0, own, messages, noise, divergences)
        deep = self._join(0, own, kappas)
        for step in range(1, LEVELS):
            kappas = self._gate(step, own, messages, noise, divergences)
            deep = self.ups[step - 1](deep)
            if step < LEVELS - 1:
                skip = self._join(step, own, kappas)
                deep = self.convs[step - 1](torch.cat([deep, skip], dim=1))
        kl = torch.stack(divergences).mean() if divergences else None
        return Filtered(own, deep, kappas, kl)

    def shallow_gate(self) -> Gate:
        """Return the gate at P/2; only where there are auxiliaries."""
        return self._gate_at(LEVELS - 1)

    def aligning(self, auxiliary: str) -> tuple[nn.Module, ...]:
        """Return what the kappas of a message pass through, at every gate."""
        return tuple(cast("Gate", gate).align[auxiliary] for gate in self.gates)

    def shallow_kappas(
        self, own: Embeddings, messages: Mapping[str, tuple[Tensor, ...]]
    ) -> dict[str, Tensor]:
        """Run the shallowest gate alone: the kappas of `Filtered`."""
        return self._gate(LEVELS - 1, own, messages, None, [])

    def predict(self, state: Filtered) -> Tensor:
        """Turn the state at the shallowest gate into logits, (B, regions, Z, Y, X)."""
        if not self.auxiliaries:
            return self.predict_with(state, None)
        aligned = self.shallow_gate().aligned(state.own.levels[0], state.kappas)
        return self.predict_with(state, aligned)

    def predict_with(self, state: Filtered, heard: Tensor | None) -> Tensor:
        """As `predict`, from the aligned sum of the shallowest kappas, (B, C, P/2 ...)."""
        skip = [state.own.levels[0]] if heard is None else [state.own.levels[0], heard]
        blocks = self.convs[-2], self.ups[-1], self.convs[-1]
        return self.checkpointed(self._last_levels, blocks, state.own.full, state.deep, *skip)

    def _last_levels(self, own: Tensor, *joined: Tensor) -> Tensor:
        shallow = self.convs[-2](torch.cat(joined, dim=1))
        full = self.convs[-1](torch.cat([self.ups[-1](shallow), own], dim=1))
        return cast("Tensor", self.output(full))

    def _gate(
        self,
        step: int,
        own: Embeddings,
        messages: Mapping[str, tuple[Tensor, ...]],
        noise: Noise | None,
        divergences: list[Tensor],
    ) -> dict[str, Tensor]:
        if not self.auxiliaries:
            return {}
        level = LEVELS - 1 - step
        heard = {name: levels[level] for name, levels in messages.items()}
        gated = self._gate_at(step)(own.levels[level], heard, noise)
        if gated.kl is not None:
            divergences.append(gated.kl)
        return gated.kappas

    def _join(self, step: int, own: Embeddings, kappas: Mapping[str, Tensor]) -> Tensor:
        embedding = own.levels[LEVELS - 1 - step]
        return self._gate_at(step).join(embedding, kappas) if self.auxiliaries else embedding

    def _gate_at(self, step: int) -> Gate:
        return cast("Gate", self.gates[step])
