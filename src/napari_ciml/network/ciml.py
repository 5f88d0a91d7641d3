"""CIML network: an encoder for each source of messages, a segmentor for each subtask (Fig. 3)."""

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
    """Return the modalities that each encoder sees, by encoder name.

    The encoder of a subtask has the subtask's name. An auxiliary modality that is the only primary
    of some subtask is encoded there; any other one has an encoder of its own.

    Parameters
    ----------
    decomposition : Decomposition
        Subtasks and messages.
    message : bool
        Whether messages are passed; without, auxiliaries have no encoder.
    """
    inputs = {task.name: task.primary for task in decomposition.subtasks}
    if message:
        for _, auxiliary in decomposition.messages:
            inputs.setdefault(auxiliary, (auxiliary,))
    return inputs


class CIML(nn.Module):
    """Complementary information mutual learning network for one decomposition.

    Parameters
    ----------
    decomposition : Decomposition
        Validated; any number of subtasks, regions, primaries and auxiliaries.
    settings : NetworkSettings
        Width, norm and components.

    Raises
    ------
    DecompositionError
        If the name of a modality is an attribute of PyTorch modules, such as ``type``.
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
        """Predict the regions of subtasks.

        Parameters
        ----------
        images : mapping of str to torch.Tensor
            By modality, each (B, 1, Z, Y, X) with edges that are multiples of 16.
        subtasks : collection of str, optional
            Names of subtasks; all by default.
        muted : collection of Message
            Messages that are not passed: kappa = 0 and a pooled map of zeros.
        noise : callable, optional
            Draws eps: kappa is sampled and the KL term computed. Without it, kappa = mu.

        Returns
        -------
        dict of str to Prediction
            By subtask.
        """
        selected = self.segmentors.keys() if subtasks is None else subtasks
        encoded = self.encode(images, selected, muted)
        return {
            name: self.segmentor(name)(
                encoded[name],
                self.incoming_messages(name, encoded, muted),
                noise,
            )
            for name in selected
        }

    def segmentor(self, subtask: str) -> Segmentor:
        """Return a subtask's segmentor."""
        return cast("Segmentor", self.segmentors[subtask])

    def encode(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str] | None = None,
        muted: Collection[Message] = (),
        cached: Mapping[str, tuple[Tensor, ...]] = MappingProxyType({}),
    ) -> dict[str, Embeddings]:
        """Run every encoder that subtasks require, once.

        Parameters
        ----------
        images, subtasks, muted
            As in `forward`.
        cached : mapping of str to tuple of torch.Tensor
            By encoder, levels computed earlier from the same images. Such an encoder runs its first
            block only, and only if its segmentor is run.

        Returns
        -------
        dict of str to Embeddings
            By encoder.
        """
        selected = self.segmentors.keys() if subtasks is None else subtasks
        encoded = {}
        for name in self.required_encoders(selected, muted):
            encoder = cast("Encoder", self.encoders[name])
            if name in cached and name not in selected:
                encoded[name] = Embeddings(cached[name][0].new_empty(0), cached[name])
                continue
            image = torch.cat([images[m] for m in self.inputs[name]], dim=1)
            if name in cached:
                encoded[name] = Embeddings(encoder.first_block(image), cached[name])
            else:
                encoded[name] = encoder(image)
        return encoded

    def required_encoders(
        self, subtasks: Collection[str], muted: Collection[Message] = ()
    ) -> tuple[str, ...]:
        """Return the names of the encoders that subtasks require, their own ones first."""
        senders = (auxiliary for name in subtasks for auxiliary in self._senders(name, muted))
        return tuple(dict.fromkeys((*subtasks, *senders)))

    def incoming_messages(
        self, subtask: str, encoded: Mapping[str, Embeddings], muted: Collection[Message] = ()
    ) -> dict[str, tuple[Tensor, ...]]:
        """Return the messages that a subtask's segmentor receives, by auxiliary modality."""
        return {name: encoded[name].levels for name in self._senders(subtask, muted)}

    def _senders(self, subtask: str, muted: Collection[Message]) -> tuple[str, ...]:
        return tuple(
            name
            for name in self.segmentor(subtask).auxiliaries
            if Message(subtask, name) not in muted
        )
