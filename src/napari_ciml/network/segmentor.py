"""Segmentor without its encoder: complementary information filter and predictor (Fig. 4, 5)."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from napari_ciml.decomposition.model import Subtask
from napari_ciml.network.activation_checkpointing import ActivationCheckpointing
from napari_ciml.network.blocks import conv_block, up_block
from napari_ciml.network.encoder import Embeddings
from napari_ciml.network.gate import Gate, GateOutput, Noise
from napari_ciml.network.settings import LEVELS, NetworkSettings


class Prediction(NamedTuple):
    """Prediction of a segmentor.

    Parameters
    ----------
    logits : torch.Tensor
        (B, regions, Z, Y, X).
    kl : torch.Tensor or None
        KL term averaged over the levels; None if kappa was not sampled.
    """

    logits: Tensor
    kl: Tensor | None


class FilterOutput(NamedTuple):
    """State of a segmentor at the shallowest gate (P/2), the input of `Segmentor.predict`.

    Parameters
    ----------
    own : Embeddings
        Embeddings of the primary modalities.
    deep : torch.Tensor
        Output of the first half of Up3, (B, C, P/2 ...).
    kappas : dict of str to torch.Tensor
        Complementary information of each message, (B, C, P/2 ...): A of eq. 14.
    kl : torch.Tensor or None
        As in `Prediction`.
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
        Its regions are the output channels, its auxiliaries send the messages.
    settings : NetworkSettings
        Width, norm and components.
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
            Embeddings of the primary modalities.
        messages : mapping of str to tuple of torch.Tensor
            By auxiliary modality, the levels of its encoder; missing ones are muted.
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
    ) -> FilterOutput:
        """Run everything up to the shallowest gate; parameters as in `forward`."""
        gated = self._gate(0, own, messages, noise)
        divergences = [gated.kl]
        deep = self._join(0, own, gated.kappas)
        for step in range(1, LEVELS):
            gated = self._gate(step, own, messages, noise)
            divergences.append(gated.kl)
            deep = self.ups[step - 1](deep)
            if step < LEVELS - 1:
                skip = self._join(step, own, gated.kappas)
                deep = self.convs[step - 1](torch.cat([deep, skip], dim=1))
        computed = [kl for kl in divergences if kl is not None]
        return FilterOutput(
            own, deep, gated.kappas, torch.stack(computed).mean() if computed else None
        )

    def shallow_gate(self) -> Gate:
        """Return the gate at P/2; only for subtasks with auxiliaries."""
        return self._gate_at(LEVELS - 1)

    def alignment_layers(self, auxiliary: str) -> tuple[nn.Module, ...]:
        """Return the 1x1x1 convolutions of a message's kappas, one for each gate."""
        return tuple(cast("Gate", gate).align[auxiliary] for gate in self.gates)

    def predict(self, state: FilterOutput) -> Tensor:
        """Compute logits, (B, regions, Z, Y, X), from the state at the shallowest gate."""
        skip = [state.own.levels[0]]
        if self.auxiliaries:
            skip.append(self.shallow_gate().aligned_sum(skip[0], state.kappas))
        blocks = self.convs[-2], self.ups[-1], self.convs[-1]
        return self.checkpointed(self._last_levels, blocks, state.own.full, state.deep, *skip)

    def _last_levels(self, own: Tensor, *shallow: Tensor) -> Tensor:
        half = self.convs[-2](torch.cat(shallow, dim=1))
        full = self.convs[-1](torch.cat([self.ups[-1](half), own], dim=1))
        return cast("Tensor", self.output(full))

    def _gate(
        self,
        step: int,
        own: Embeddings,
        messages: Mapping[str, tuple[Tensor, ...]],
        noise: Noise | None,
    ) -> GateOutput:
        """Run the gate of a step, from the deepest level (0) upwards."""
        if not self.auxiliaries:
            return GateOutput({}, None)
        level = LEVELS - 1 - step
        at_level = {name: levels[level] for name, levels in messages.items()}
        return cast("GateOutput", self._gate_at(step)(own.levels[level], at_level, noise))

    def _join(self, step: int, own: Embeddings, kappas: Mapping[str, Tensor]) -> Tensor:
        embedding = own.levels[LEVELS - 1 - step]
        return self._gate_at(step).join(embedding, kappas) if self.auxiliaries else embedding

    def _gate_at(self, step: int) -> Gate:
        return cast("Gate", self.gates[step])
