"""Training loss: Dice + cross-entropy + beta KL, summed over subtasks (eq. 8, section 4.2)."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import torch
from monai.losses import DiceLoss
from torch import Tensor, nn
from torch.nn import functional

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.network.segmentor import Prediction


class LossParts(NamedTuple):
    """Scalars, each summed over subtasks; ``total`` is minimised."""

    total: Tensor
    dice: Tensor
    cross_entropy: Tensor
    kl: Tensor


class CIMLLoss(nn.Module):
    """Dice + cross-entropy + beta KL.

    Parameters
    ----------
    decomposition : Decomposition
        Gives the regions of each subtask's channels.
    beta : float
        Weight of the KL term (eq. 8).
    """

    def __init__(self, decomposition: Decomposition, beta: float = 0.5) -> None:
        super().__init__()
        self.regions = {task.name: task.regions for task in decomposition.subtasks}
        self.beta = beta
        self.dice = DiceLoss(batch=True)

    def forward(
        self,
        predictions: Mapping[str, Prediction],
        targets: Mapping[str, Tensor],
        certain: Tensor | None = None,
    ) -> LossParts:
        """Compute the loss.

        Parameters
        ----------
        predictions : mapping of str to Prediction
            By subtask.
        targets : mapping of str to torch.Tensor
            By region, float masks (B, 1, Z, Y, X).
        certain : torch.Tensor, optional
            Float mask (B, 1, Z, Y, X) of the voxels with reliable targets; Dice and cross-entropy
            ignore all others. All voxels by default.
        """
        dice, cross_entropy, kl = [], [], []
        for name, prediction in predictions.items():
            target = torch.cat([targets[region] for region in self.regions[name]], dim=1)
            logits = prediction.logits.float()
            dice.append(self._dice(logits, target, certain))
            cross_entropy.append(_cross_entropy(logits, target, certain))
            kl.append(logits.new_zeros(()) if prediction.kl is None else prediction.kl)
        parts = torch.stack(dice).sum(), torch.stack(cross_entropy).sum(), torch.stack(kl).sum()
        return LossParts(parts[0] + parts[1] + self.beta * parts[2], *parts)

    def _dice(self, logits: Tensor, target: Tensor, certain: Tensor | None) -> Tensor:
        probabilities = torch.sigmoid(logits)
        if certain is None:
            return cast("Tensor", self.dice(probabilities, target))
        return cast("Tensor", self.dice(probabilities * certain, target * certain))


def _cross_entropy(logits: Tensor, target: Tensor, certain: Tensor | None) -> Tensor:
    if certain is None:
        return functional.binary_cross_entropy_with_logits(logits, target)
    weight = certain.expand_as(logits)
    total = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return total / weight.sum().clamp(min=1)
