"""Training on shapes, and where the information lies."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ciml.metrics import dice
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.shapes.data import Primary, Shapes, make_shapes
from napari_ciml.research.shapes.network import ShapeNetwork, ShapePrediction

_SETS, _TEST = 1000, 200
_WARM_UP = ((0.2, 0.5), (0.05, 1.0))
"""Shares of the steps between which beta grows, and the shares of its value it has there."""
_CLIP = 1.0


@dataclass(frozen=True)
class ShapeSettings:
    """How to train; eq. 13 decays the rate by the step.

    Parameters
    ----------
    beta : float
        Weight of the KL, a mean over pixels, in nats.
    primary : {"ellipse", "triangle"}
        Which shape the primary modality shows.
    steps, batch_size : int
        Of the optimiser.
    learning_rate : float
        At the start.
    seed : int
        Of weights, batches and noise; the sets are the same for all seeds.
    """

    beta: float = 1.5
    primary: Primary = "ellipse"
    steps: int = 2000
    batch_size: int = 16
    learning_rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True)
class ShapeResult:
    """On the test sets: Dice of the union, nats a set, and the share of them in each part."""

    dice: float
    nats: float
    shares: dict[str, float]


def split_shapes(primary: Primary) -> tuple[Shapes, Shapes]:
    """Return 800 sets to train on and 200 to test on."""
    sets = make_shapes(_SETS, 0, primary)
    parts = slice(0, _SETS - _TEST), slice(_SETS - _TEST, _SETS)
    first, second = (Shapes(sets.primary[part], sets.auxiliary[part]) for part in parts)
    return first, second


def train_shapes(
    training: Shapes, settings: ShapeSettings, monitor: ProgressMonitor
) -> ShapeNetwork:
    """Minimise Dice + cross-entropy + beta KL (eq. 8).

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    network = ShapeNetwork()
    adam = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    for step in range(settings.steps):
        monitor.step("Training on shapes", step, settings.steps)
        for group in adam.param_groups:
            group["lr"] = settings.learning_rate * (1 - step / settings.steps) ** 0.9
        chosen = rng.integers(0, len(training.primary), settings.batch_size)
        batch = Shapes(training.primary[chosen], training.auxiliary[chosen])
        seen = network(images(batch.primary), images(batch.auxiliary), sample=True)
        # At full weight from the start, saying nothing at all would be where it stays; without any
        # weight, mu would grow so large that the network does not find back.
        beta = settings.beta * np.interp(step / settings.steps, *_WARM_UP)
        loss = _loss(seen, images(batch.union)) + beta * seen.nats().mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        adam.step()
    return network.eval()


def predict(network: ShapeNetwork, shapes: Shapes) -> ShapePrediction:
    """Segment sets without noise."""
    with torch.inference_mode():
        seen: ShapePrediction = network(
            images(shapes.primary), images(shapes.auxiliary), sample=False
        )
        return seen


def measure(network: ShapeNetwork, test: Shapes) -> ShapeResult:
    """Return how well the union is segmented, and where the KL lies."""
    seen = predict(network, test)
    nats = seen.nats()[:, 0].double().numpy()
    predicted = (seen.logits[:, 0] > 0).numpy()
    scores = [dice(one, other) for one, other in zip(predicted, test.union, strict=True)]
    shares = {name: float(nats[mask].sum() / nats.sum()) for name, mask in test.parts().items()}
    return ShapeResult(float(np.mean(scores)), float(nats.sum() / len(nats)), shares)


def images(masks: np.ndarray) -> Tensor:
    """Return masks, (N, Y, X), as images (N, 1, Y, X) of 0 and 1."""
    return torch.from_numpy(masks[:, None].astype(np.float32))


def _loss(seen: ShapePrediction, target: Tensor) -> Tensor:
    from monai.losses import DiceLoss

    entropy = functional.binary_cross_entropy_with_logits(seen.logits, target)
    total: Tensor = DiceLoss(sigmoid=True, batch=True)(seen.logits, target) + entropy
    return total
