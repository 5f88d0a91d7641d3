"""Do the maps tell the truth? What a message is said to add, against what is lost without it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import spearmanr

from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.explanation.explain import complementary_weights
from napari_ciml.explanation.gradcam import complementary_maps
from napari_ciml.explanation.result import Triple
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.plan import InferencePlan, make_plan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.inference.sliding_window import predict_pairs
from napari_ciml.metrics import dice
from napari_ciml.network.blocks import initialise
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.ciml import CIML
from napari_ciml.progress import ProgressMonitor

Images = Mapping[str, np.ndarray]
_LEAST = 1e-6
"""Probabilities are kept this far from 0 and 1, so that logits are finite."""


@dataclass(frozen=True)
class MessageAblation:
    """What an auxiliary is said to add to a pair, and what muting its message costs.

    Parameters
    ----------
    pair : Pair
        Whose segmentor is asked.
    auxiliary : str
        Whose message is muted.
    weight : float
        Eq. 16; NaN where all of the pair's maps are zero in its region.
    information : float
        Mean of the map over the volume, not divided by the other auxiliaries'.
    dice_drop : float
        Dice of the pair's own segmentation with the message, less that without it.
    logit_drop : float
        The same for the mean logit over the predicted region: what the map explains.
    """

    pair: Pair
    auxiliary: str
    weight: float
    information: float
    dice_drop: float
    logit_drop: float


def ablate_messages(
    checkpoint: Checkpoint,
    images: Images,
    references: Mapping[str, np.ndarray],
    workspace: Runtime,
    monitor: ProgressMonitor,
) -> list[MessageAblation]:
    """Explain a case, then mute every message in turn.

    Parameters
    ----------
    checkpoint : Checkpoint
        The network.
    images : mapping of str to numpy.ndarray
        By modality, normalised, (Z, Y, X) float32.
    references : mapping of str to numpy.ndarray
        By region, (Z, Y, X) bool.
    workspace : Workspace
        Device and tiles.
    monitor : Monitor
        Can cancel within a tile.
    """
    plan = make_plan(checkpoint.info, checkpoint.info.decomposition)
    whole = predict_pairs(checkpoint, images, plan, workspace, monitor)
    asked = {name: p >= THRESHOLD for name, p in ensemble(whole, plan).items()}
    maps = complementary_maps(checkpoint, images, asked, plan, workspace, monitor)
    weights = complementary_weights(maps, asked)
    found = []
    for message in plan.decomposition.messages:
        without = _without(checkpoint, images, message, plan, workspace, monitor)
        for pair in (pair for pair in plan.pairs if pair.primary == message.primary):
            reference, region = references[pair.region], asked[pair.region]
            scores = [dice(p[pair] >= THRESHOLD, reference) for p in (whole, without)]
            logits = [_mean_logit(p[pair], region) for p in (whole, without)]
            triple: Triple = (pair, message.auxiliary)
            found.append(
                MessageAblation(
                    *triple,
                    weight=weights[triple],
                    information=float(maps[triple].mean()),
                    dice_drop=scores[0] - scores[1],
                    logit_drop=logits[0] - logits[1],
                )
            )
    return found


def rank_correlation(mutings: list[MessageAblation], said: str, lost: str) -> float:
    """Return Spearman's rho between two fields of `MessageAblation`, where both are known."""
    pairs = np.array([(getattr(m, said), getattr(m, lost)) for m in mutings], float)
    known = pairs[np.isfinite(pairs).all(axis=1)]
    return float(spearmanr(known[:, 0], known[:, 1]).statistic)


def model_randomisation_test(
    checkpoint: Checkpoint,
    images: Images,
    workspace: Runtime,
    monitor: ProgressMonitor,
    seed: int = 0,
) -> float:
    """Return how alike the maps are after all convolutions were drawn anew (a sanity check).

    Returns
    -------
    float
        Spearman's rho over voxels, the mean over all maps that are not zero in either network. A
        faithful map does not survive it: the value is near 0.
    """
    plan = make_plan(checkpoint.info, checkpoint.info.decomposition)
    probabilities = predict_pairs(checkpoint, images, plan, workspace, monitor)
    asked = {name: p >= THRESHOLD for name, p in ensemble(probabilities, plan).items()}
    torch.manual_seed(seed)
    network = CIML(checkpoint.info.decomposition, checkpoint.info.network).eval()
    network.load_state_dict(checkpoint.network.state_dict())
    initialise(network)
    random = replace(checkpoint, network=network.requires_grad_(False))
    before, after = (
        complementary_maps(one, images, asked, plan, workspace, monitor)
        for one in (checkpoint, random)
    )
    alike = [
        spearmanr(before[triple].ravel(), after[triple].ravel()).statistic
        for triple in before
        if np.ptp(before[triple]) > 0 and np.ptp(after[triple]) > 0
    ]
    return float(np.mean(alike)) if alike else float("nan")


def _without(
    checkpoint: Checkpoint,
    images: Images,
    message: Message,
    plan: InferencePlan,
    workspace: Runtime,
    monitor: ProgressMonitor,
) -> dict[Pair, np.ndarray]:
    pairs = tuple(pair for pair in plan.pairs if pair.primary == message.primary)
    muted = replace(plan, pairs=pairs, muted=plan.muted | {message})
    return predict_pairs(checkpoint, images, muted, workspace, monitor)


def _mean_logit(probability: np.ndarray, region: np.ndarray) -> float:
    if not region.any():
        return float("nan")
    inside = np.clip(probability[region].astype(np.float64), _LEAST, 1 - _LEAST)
    return float(np.mean(np.log(inside / (1 - inside))))
