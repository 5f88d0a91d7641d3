"""The whole network: one encoder per source of messages, one segmentor per subtask (Fig. 3)."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import cast

import torch
from torch import Tensor, nn

from napari_ciml.decomposition.model import Decomposition, Message
from napari_ciml.errors import DecompositionError
from napari_ciml.network.blocks import initialise
from napari_ciml.network.encoder import Embeddings, Encoder
from napari_ciml.network.gate import Noise
from napari_ciml.network.segmentor import Prediction, Segmentor
from napari_ciml.network.settings import NetworkSettings


def encoder_inputs(
    decomposition: Decomposition, message: bool = True
) -> dict[str, tuple[str, ...]]:
    """Say which modalities each encoder sees, by encoder name.

    A subtask's encoder has the subtask's name. An auxiliary modality that is the only primary of
    some subtask is encoded there; any other one gets an encoder of its own.
    """
    inputs = {task.name: task.primary for task in decomposition.subtasks}
    if message:
        for _, auxiliary in decomposition.messages:
            inputs.setdefault(auxiliary, (auxiliary,))
    return inputs


class CIML(nn.Module):
    """Complementary information mutual learning for one decomposition.

    Parameters
    ----------
    decomposition : Decomposition
        A checked one: any number of subtasks, regions, primaries and auxiliaries.
    settings : NetworkSettings
        Widths, norm and parts.

    Raises
    ------
    DecompositionError
        If a modality has a name that PyTorch keeps for itself, such as ``type``.
    """

    def __init__(self, decomposition: Decomposition, settings: NetworkSettings) -> None:
        super().__init__()
        for name in (*(task.name for task in decomposition.subtasks), *decomposition.modalities):
            if hasattr(nn.ModuleDict, name):
                raise DecompositionError(f"'{name}' cannot be the name of a modality; rename it.")
        self.decomposition = decomposition
        self.settings = settings
        self.inputs = encoder_inputs(decomposition, settings.message)
        self.encoders = nn.ModuleDict(
            {name: Encoder(len(primary), settings) for name, primary in self.inputs.items()}
        )
        self.segmentors = nn.ModuleDict(
            {task.name: Segmentor(task, settings) for task in decomposition.subtasks}
        )
        initialise(self)

    def forward(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str] | None = None,
        muted: Collection[Message] = (),
        noise: Noise | None = None,
    ) -> dict[str, Prediction]:
        """Predict the regions of the subtasks asked for.

        Parameters
        ----------
        images : mapping of str to torch.Tensor
            By modality, each (B, 1, Z, Y, X) with edges that are multiples of 16.
        subtasks : collection of str, optional
            Names of subtasks; all by default.
        muted : collection of Message
            Messages that are not passed: kappa = 0 and a zero pooled map.
        noise : callable, optional
            Draws eps: kappa is sampled and the KL returned. Without it, kappa = mu.
        """
        wanted = self.segmentors.keys() if subtasks is None else subtasks
        encoded = self.encode(images, wanted, muted)
        return {
            name: self.segmentor(name)(
                encoded[name],
                self.incoming_messages(name, encoded, muted),
                noise,
            )
            for name in wanted
        }

    def segmentor(self, subtask: str) -> Segmentor:
        """Return a subtask's segmentor."""
        return cast("Segmentor", self.segmentors[subtask])

    def encode(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str] | None = None,
        muted: Collection[Message] = (),
        kept: Mapping[str, tuple[Tensor, ...]] = MappingProxyType({}),
    ) -> dict[str, Embeddings]:
        """Run every encoder that the subtasks need, once; by encoder name.

        Parameters
        ----------
        images, subtasks, muted
            As in `forward`.
        kept : mapping of str to tuple of torch.Tensor
            Levels, by encoder name, that were computed from the same images before.
        """
        wanted = self.segmentors.keys() if subtasks is None else subtasks
        encoded = {}
        for name in self.required_encoders(wanted, muted):
            encoder = cast("Encoder", self.encoders[name])
            if name in kept and name not in wanted:
                encoded[name] = Embeddings(kept[name][0].new_empty(0), kept[name])
                continue
            seen = torch.cat([images[m] for m in self.inputs[name]], dim=1)
            encoded[name] = (
                Embeddings(encoder.full(seen), kept[name]) if name in kept else encoder(seen)
            )
        return encoded

    def required_encoders(
        self, subtasks: Collection[str], muted: Collection[Message] = ()
    ) -> tuple[str, ...]:
        """Return the names of the encoders that the subtasks need."""
        heard = (auxiliary for name in subtasks for auxiliary in self._heard(name, muted))
        return tuple(dict.fromkeys((*subtasks, *heard)))

    def incoming_messages(
        self, subtask: str, encoded: Mapping[str, Embeddings], muted: Collection[Message] = ()
    ) -> dict[str, tuple[Tensor, ...]]:
        """Collect the messages that a subtask's segmentor hears, by auxiliary modality."""
        return {name: encoded[name].levels for name in self._heard(subtask, muted)}

    def _heard(self, subtask: str, muted: Collection[Message]) -> tuple[str, ...]:
        return tuple(
            name
            for name in self.segmentor(subtask).auxiliaries
            if Message(subtask, name) not in muted
        )
