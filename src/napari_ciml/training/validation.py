"""Dice on patches of validation cases, cheap enough for every epoch."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.network.segmentor import Prediction
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.patches import draw_patch
from napari_ciml.training.settings import TrainSettings

_MAX_CASES = 8


def region_probabilities(
    predictions: Mapping[str, Prediction], decomposition: Decomposition
) -> dict[str, Tensor]:
    """Average each region's probability over the subtasks that predict it (section 4.1.1).

    Returns
    -------
    dict of str to torch.Tensor
        Probability by region, (B, Z, Y, X) float32.
    """
    probabilities: dict[str, list[Tensor]] = {name: [] for name in decomposition.region_names}
    for task in decomposition.subtasks:
        values = torch.sigmoid(predictions[task.name].logits.float())
        for k, region in enumerate(task.regions):
            probabilities[region].append(values[:, k])
    return {name: torch.stack(values).mean(dim=0) for name, values in probabilities.items()}


def pseudo_dice(
    network: nn.Module,
    cases: Sequence[TrainingCase],
    settings: TrainSettings,
    device: torch.device,
) -> dict[str, float]:
    """Return each region's Dice over one patch each of up to eight cases, the same every time.

    The voxels of all patches are counted together, so that a patch without the region weighs less
    than one full of it. Empty without cases. The network is left in evaluation mode.
    """
    decomposition = settings.decomposition
    names = decomposition.region_names
    shape = settings.largest_patch or settings.patch
    overlap, total = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    network.eval()
    for k, case in enumerate(cases[:_MAX_CASES]):
        patch = draw_patch(case, shape, 1.0, np.random.default_rng(k))
        image = patch["image"][None].to(device)
        channels = enumerate(decomposition.input_modalities)
        with torch.no_grad():
            predictions = network({name: image[:, j : j + 1] for j, name in channels})
        probabilities = region_probabilities(predictions, decomposition)
        for j, (region, values) in enumerate(probabilities.items()):
            predicted, expected = values[0].cpu() > 0.5, patch["regions"][j] > 0.5
            overlap[region] += 2 * float((predicted & expected).sum())
            total[region] += float(predicted.sum() + expected.sum())
    if not cases:
        return {}
    return {name: overlap[name] / total[name] if total[name] else float("nan") for name in names}
