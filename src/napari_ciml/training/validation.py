"""Dice on patches of cases not trained on: cheap enough for every epoch."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.network.segmentor import Prediction
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.patches import draw_patch
from napari_ciml.training.settings import TrainSettings

_PATCHES = 8


def region_probabilities(
    predictions: Mapping[str, Prediction], decomposition: Decomposition
) -> dict[str, Tensor]:
    """Average each region's probability over the subtasks that predict it (section 4.1.1).

    Returns
    -------
    dict of str to torch.Tensor
        By region, (B, Z, Y, X) float32.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in decomposition.region_names}
    for task in decomposition.subtasks:
        values = torch.sigmoid(predictions[task.name].logits.float())
        for k, region in enumerate(task.regions):
            found[region].append(values[:, k])
    return {name: torch.stack(values).mean(dim=0) for name, values in found.items()}


def pseudo_dice(
    network: nn.Module,
    cases: Sequence[TrainingCase],
    settings: TrainSettings,
    device: torch.device,
) -> dict[str, float]:
    """Return each region's Dice over patches of up to eight cases, the same ones every time.

    Voxels of all patches are counted together, so a patch without the region does not weigh as
    much as one full of it. Empty without cases; the network is left in evaluation mode.
    """
    whole = settings.decomposition
    shape = settings.largest_patch or settings.patch
    both, either = dict.fromkeys(whole.region_names, 0.0), dict.fromkeys(whole.region_names, 0.0)
    network.eval()
    for k, case in enumerate(cases[:_PATCHES]):
        patch = draw_patch(case, shape, 1.0, np.random.default_rng(k))
        image = patch["image"][None].to(device)
        with torch.no_grad():
            seen = network({m: image[:, j : j + 1] for j, m in enumerate(whole.input_modalities)})
        for j, (region, values) in enumerate(region_probabilities(seen, whole).items()):
            predicted, expected = values[0].cpu() > 0.5, patch["regions"][j] > 0.5
            both[region] += 2 * float((predicted & expected).sum())
            either[region] += float(predicted.sum() + expected.sum())
    if not cases:
        return {}
    return {r: both[r] / either[r] if either[r] else float("nan") for r in whole.region_names}
