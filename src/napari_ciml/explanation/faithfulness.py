"""Faithfulness of maps and weights: ablation of messages and randomisation of the network."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import spearmanr

from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.explanation.explain import complementary_weights
from napari_ciml.explanation.gradcam import complementary_maps
from napari_ciml.explanation.result import Triple
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.context import InferenceContext
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.plan import make_plan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.settings import THRESHOLD
from napari_ciml.inference.sliding_window import predict_pairs
from napari_ciml.metrics import dice
from napari_ciml.network.blocks import initialise
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.ciml import CIML
from napari_ciml.progress import ProgressMonitor

Images = Mapping[str, np.ndarray]
_EPSILON = 1e-6
"""Distance of probabilities from 0 and 1, so that logits are finite."""


@dataclass(frozen=True)
class MessageAblation:
    """Weight of a message for a pair, and the effect of muting it.

    Parameters
    ----------
    pair : Pair
        Pair whose prediction is compared.
    auxiliary : str
        Auxiliary modality whose message is muted.
    weight : float
        Complementary-information weight (eq. 16); NaN where all maps of the pair are zero in its
        region.
    information : float
        Mean of the map (eq. 14) over the volume.
    dice_drop : float
        Dice of the pair's prediction with the message minus that without it.
    logit_drop : float
        Mean logit over the predicted region with the message minus that without it.
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
    runtime: Runtime,
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
        Reference masks by region, (Z, Y, X) bool.
    runtime : Runtime
        Device and tiles.
    monitor : ProgressMonitor
        Can cancel within a tile.
    """
    context = _uncached_context(checkpoint, runtime, monitor)
    plan = context.plan
    with_all = predict_pairs(context, images)
    targets = {name: p >= THRESHOLD for name, p in ensemble(with_all, plan).items()}
    maps = complementary_maps(context, images, targets)
    weights = complementary_weights(maps, targets)
    ablations = []
    for message in plan.decomposition.messages:
        without = _predict_without(context, images, message)
        for pair in (pair for pair in plan.pairs if pair.primary == message.primary):
            reference, region = references[pair.region], targets[pair.region]
            scores = [dice(p[pair] >= THRESHOLD, reference) for p in (with_all, without)]
            logits = [_mean_logit(p[pair], region) for p in (with_all, without)]
            triple: Triple = (pair, message.auxiliary)
            ablations.append(
                MessageAblation(
                    *triple,
                    weight=weights[triple],
                    information=float(maps[triple].mean()),
                    dice_drop=scores[0] - scores[1],
                    logit_drop=logits[0] - logits[1],
                )
            )
    return ablations


def rank_correlation(ablations: list[MessageAblation], first: str, second: str) -> float:
    """Return Spearman's rho between two fields of `MessageAblation`, where both are finite."""
    values = np.array([(getattr(a, first), getattr(a, second)) for a in ablations], float)
    finite = values[np.isfinite(values).all(axis=1)]
    return float(spearmanr(finite[:, 0], finite[:, 1]).statistic)


def model_randomisation_test(
    checkpoint: Checkpoint,
    images: Images,
    runtime: Runtime,
    monitor: ProgressMonitor,
    seed: int = 0,
) -> float:
    """Compare maps with those of a randomly initialised network (Adebayo et al., 2018).

    Parameters
    ----------
    checkpoint, images, runtime, monitor
        As in `ablate_messages`.
    seed : int
        Seed of the random weights.

    Returns
    -------
    float
        Spearman's rho over voxels, averaged over the maps that are not constant in either network.
        It is near 0 if maps are faithful.
    """
    context = _uncached_context(checkpoint, runtime, monitor)
    probabilities = ensemble(predict_pairs(context, images), context.plan)
    targets = {name: p >= THRESHOLD for name, p in probabilities.items()}
    random = replace(context, checkpoint=_randomised(checkpoint, seed))
    before, after = (complementary_maps(one, images, targets) for one in (context, random))
    correlations = [
        spearmanr(before[triple].ravel(), after[triple].ravel()).statistic
        for triple in before
        if np.ptp(before[triple]) > 0 and np.ptp(after[triple]) > 0
    ]
    return float(np.mean(correlations)) if correlations else float("nan")


def _randomised(checkpoint: Checkpoint, seed: int) -> Checkpoint:
    """Return the checkpoint with all convolutions initialised at random."""
    torch.manual_seed(seed)
    network = CIML(checkpoint.info.decomposition, checkpoint.info.network).eval()
    network.load_state_dict(checkpoint.network.state_dict())
    initialise(network)
    return replace(checkpoint, network=network.requires_grad_(False))


def _uncached_context(
    checkpoint: Checkpoint, runtime: Runtime, monitor: ProgressMonitor
) -> InferenceContext:
    plan = make_plan(checkpoint.info, checkpoint.info.decomposition)
    return InferenceContext(checkpoint, plan, InferenceCache.disabled(runtime), monitor)


def _predict_without(
    context: InferenceContext, images: Images, message: Message
) -> dict[Pair, np.ndarray]:
    """Predict the pairs of a message's receiver with the message muted."""
    plan = context.plan
    pairs = tuple(pair for pair in plan.pairs if pair.primary == message.primary)
    muted = replace(plan, pairs=pairs, muted=plan.muted | {message})
    return predict_pairs(replace(context, plan=muted), images)


def _mean_logit(probability: np.ndarray, region: np.ndarray) -> float:
    if not region.any():
        return float("nan")
    clipped = np.clip(probability[region].astype(np.float64), _EPSILON, 1 - _EPSILON)
    return float(np.mean(np.log(clipped / (1 - clipped))))
