"""One step of the optimiser, on one device or on several."""

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

_CLIP = 12.0

RECOMPUTED = "from now on activations are computed twice instead of held"


def draw_muted(
    decomposition: Decomposition, settings: TrainSettings, step: int
) -> frozenset[Message]:
    """Draw the messages that a step does without."""
    rng = np.random.default_rng((settings.seed, step))
    absent = {m for m in decomposition.input_modalities if rng.random() < settings.modality_dropout}
    return frozenset(
        message
        for message in decomposition.messages
        if message.auxiliary in absent or rng.random() < settings.message_dropout
    )


class PerSampleNoise:
    """Noise that depends on a run's seed and each patch's index, not on how patches are batched."""

    def __init__(self, seed: int, indices: Sequence[int], device: torch.device) -> None:
        states = [np.random.SeedSequence((seed, k)).generate_state(1)[0] for k in indices]
        self.generators = [torch.Generator(device).manual_seed(int(state)) for state in states]

    def __call__(self, like: Tensor) -> Tensor:
        """Draw eps for each patch of a batch, from the patch's own generator."""
        return torch.stack(
            [
                torch.randn(like.shape[1:], generator=g, device=like.device, dtype=like.dtype)
                for g in self.generators
            ]
        )


def _wanted(
    predictions: dict[str, Prediction], whole: Decomposition, known: Decomposition
) -> dict[str, Prediction]:
    """Return the channels of a network's subtasks that a decomposition has."""
    picked = {}
    for name, prediction in predictions.items():
        there = known.subtask(name).regions
        channels = [there.index(region) for region in whole.subtask(name).regions]
        picked[name] = prediction._replace(logits=prediction.logits[:, channels])
    return picked


@dataclass(frozen=True)
class Trainer:
    """One optimiser step; the loss is that of all processes' patches together.

    The network may know more than the settings' decomposition, which is what learns. ``tell``
    hears of what has to be done differently.
    """

    fabric: Fabric
    settings: TrainSettings
    network: _FabricModule
    adam: _FabricOptimizer
    tell: Callable[[str], None] = lambda _: None

    def step(self, batch: dict[str, Tensor], step: int) -> list[float]:
        """Take a step and return total, Dice, cross-entropy and KL.

        If memory is full, the network computes part of its activations again from then on, and
        the step is taken once more: its noise depends on the run's seed and its number alone.
        """
        try:
            return self._step(batch, step)
        except (RuntimeError, MemoryError) as error:
            # With several processes the others already wait for this one's gradients.
            alone = self.fabric.world_size == 1
            if not (
                alone and is_out_of_memory(error) and enable_activation_checkpointing(self.network)
            ):
                raise
        release(self.fabric.device)
        self.tell(f"The memory is full; {RECOMPUTED}.")
        return self._step(batch, step)

    def _step(self, batch: dict[str, Tensor], step: int) -> list[float]:
        whole = self.settings.decomposition
        images = {m: batch["image"][:, k : k + 1] for k, m in enumerate(whole.input_modalities)}
        targets = {r: batch["regions"][:, k : k + 1] for k, r in enumerate(whole.region_names)}
        certain = batch.get("certain")
        known: Decomposition = self.network.decomposition
        muted = draw_muted(whole, self.settings, step)
        muted |= set(known.messages) - set(whole.messages)
        noise = PerSampleNoise(self.settings.seed, batch["index"].tolist(), self.fabric.device)
        self.adam.zero_grad(set_to_none=True)
        predictions: dict[str, Prediction] = self.network(
            images, [task.name for task in whole.subtasks], muted, noise
        )
        parts = self._loss(_wanted(predictions, whole, known), targets, certain)
        self.fabric.backward(parts.total)
        size = self.fabric.clip_gradients(
            self.network, self.adam, max_norm=_CLIP, error_if_nonfinite=False
        )
        reduced = self.fabric.all_reduce(torch.stack(parts).detach(), reduce_op="mean")
        if not torch.isfinite(reduced[0]):
            raise DivergedError(
                "The loss is no longer a number; use a smaller learning rate, and --resume."
            )
        # In half precision single gradients overflow now and then; that step is left out. With a
        # gradient scaler it must be taken all the same: the scaler leaves it out, and scales down.
        sound = size is not None and bool(torch.isfinite(size))
        if sound or getattr(self.fabric._precision, "scaler", None) is not None:
            self.adam.step()
        return [float(value) for value in reduced]

    def _loss(
        self,
        predictions: dict[str, Prediction],
        targets: dict[str, Tensor],
        certain: Tensor | None,
    ) -> LossParts:
        # The Dice loss is no mean over patches: it needs those of all processes at once.
        everything = {
            name: prediction._replace(logits=self._gathered(prediction.logits))
            for name, prediction in predictions.items()
        }
        return CIMLLoss(self.settings.decomposition, self.settings.beta)(
            everything,
            {name: self._gathered(target) for name, target in targets.items()},
            None if certain is None else self._gathered(certain),
        )

    def _gathered(self, values: Tensor) -> Tensor:
        if self.fabric.world_size == 1:
            return values
        gathered = self.fabric.all_gather(values, sync_grads=True)
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1)
