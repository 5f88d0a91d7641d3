"""One optimiser step, on one or several devices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor

from napari_ciml.decomposition.model import Decomposition, Message
from napari_ciml.errors import DivergedError
from napari_ciml.inference.device import is_out_of_memory, release
from napari_ciml.network.activation_checkpointing import enable_activation_checkpointing
from napari_ciml.network.loss import CIMLLoss, LossParts
from napari_ciml.network.segmentor import Prediction
from napari_ciml.training.settings import TrainSettings

_MAX_GRADIENT_NORM = 12.0

CHECKPOINTING_NOTICE = "The memory is full; activation checkpointing is now on."


def draw_muted(
    decomposition: Decomposition, settings: TrainSettings, step: int
) -> frozenset[Message]:
    """Draw the messages that a step mutes."""
    rng = np.random.default_rng((settings.seed, step))
    absent = {m for m in decomposition.input_modalities if rng.random() < settings.modality_dropout}
    return frozenset(
        message
        for message in decomposition.messages
        if message.auxiliary in absent or rng.random() < settings.message_dropout
    )


class PerSampleNoise:
    """Noise that depends on the seed and the index of each patch, not on the batches.

    Parameters
    ----------
    seed : int
        Seed of the run.
    indices : sequence of int
        Indices of the patches in the batch.
    device : torch.device
        Device of the noise.
    """

    def __init__(self, seed: int, indices: Sequence[int], device: torch.device) -> None:
        states = [np.random.SeedSequence((seed, k)).generate_state(1)[0] for k in indices]
        self.generators = [torch.Generator(device).manual_seed(int(state)) for state in states]

    def __call__(self, like: Tensor) -> Tensor:
        """Draw eps for each patch of a batch from the patch's own generator."""
        return torch.stack(
            [
                torch.randn(like.shape[1:], generator=g, device=like.device, dtype=like.dtype)
                for g in self.generators
            ]
        )


def _select_channels(
    predictions: dict[str, Prediction], target: Decomposition, source: Decomposition
) -> dict[str, Prediction]:
    """Return the channels of the network's subtasks that the target decomposition has."""
    selected = {}
    for name, prediction in predictions.items():
        regions = source.subtask(name).regions
        channels = [regions.index(region) for region in target.subtask(name).regions]
        selected[name] = prediction._replace(logits=prediction.logits[:, channels])
    return selected


@dataclass(frozen=True)
class Trainer:
    """Optimiser steps on the loss over the patches of all processes.

    Parameters
    ----------
    fabric : Fabric
        Devices and precision.
    settings : TrainSettings
        Settings; their decomposition is the one that is trained.
    network : _FabricModule
        Network; its decomposition may have more messages and regions than the settings'.
    adam : _FabricOptimizer
        Optimiser.
    notify : callable
        Called with a notice for the user when memory is full.
    """

    fabric: Fabric
    settings: TrainSettings
    network: _FabricModule
    adam: _FabricOptimizer
    notify: Callable[[str], None] = lambda _: None

    def step(self, batch: dict[str, Tensor], step: int) -> list[float]:
        """Take a step; return total loss, Dice loss, cross-entropy and KL divergence.

        If memory is full, activation checkpointing is turned on and the step is repeated, with the
        same noise, since that depends on the seed and the patch indices only.
        """
        try:
            return self._step(batch, step)
        except (RuntimeError, MemoryError) as error:
            # With several processes, the others already wait for this one's gradients.
            is_alone = self.fabric.world_size == 1
            if not (
                is_alone
                and is_out_of_memory(error)
                and enable_activation_checkpointing(self.network)
            ):
                raise
        release(self.fabric.device)
        self.notify(CHECKPOINTING_NOTICE)
        return self._step(batch, step)

    def _step(self, batch: dict[str, Tensor], step: int) -> list[float]:
        target = self.settings.decomposition
        images = {m: batch["image"][:, k : k + 1] for k, m in enumerate(target.input_modalities)}
        masks = {r: batch["regions"][:, k : k + 1] for k, r in enumerate(target.region_names)}
        source: Decomposition = self.network.decomposition
        muted = draw_muted(target, self.settings, step)
        muted |= set(source.messages) - set(target.messages)
        noise = PerSampleNoise(self.settings.seed, batch["index"].tolist(), self.fabric.device)
        self.adam.zero_grad(set_to_none=True)
        predictions: dict[str, Prediction] = self.network(
            images, [task.name for task in target.subtasks], muted, noise
        )
        selected = _select_channels(predictions, target, source)
        parts = self._loss(selected, masks, batch.get("confidence"))
        self.fabric.backward(parts.total)
        norm = self.fabric.clip_gradients(
            self.network, self.adam, max_norm=_MAX_GRADIENT_NORM, error_if_nonfinite=False
        )
        reduced = self.fabric.all_reduce(torch.stack(parts).detach(), reduce_op="mean")
        if not torch.isfinite(reduced[0]):
            raise DivergedError(
                "The loss is no longer finite; use a smaller learning rate, and --resume."
            )
        # In half precision single gradients overflow now and then; that step is left out. With a
        # gradient scaler it must be taken all the same: the scaler leaves it out, and scales down.
        is_finite = norm is not None and bool(torch.isfinite(norm))
        if is_finite or getattr(self.fabric._precision, "scaler", None) is not None:
            self.adam.step()
        return [float(value) for value in reduced]

    def _loss(
        self,
        predictions: dict[str, Prediction],
        masks: dict[str, Tensor],
        confidence: Tensor | None,
    ) -> LossParts:
        # The Dice loss is not a mean over patches: it needs those of all processes at once.
        gathered = {
            name: prediction._replace(logits=self._gather(prediction.logits))
            for name, prediction in predictions.items()
        }
        return CIMLLoss(self.settings.decomposition, self.settings.beta)(
            gathered,
            {name: self._gather(mask) for name, mask in masks.items()},
            None if confidence is None else self._gather(confidence),
        )

    def _gather(self, values: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return values
        gathered = self.fabric.all_gather(values, sync_grads=True)
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1)
