"""Train on shapes, and measure where the complementary information lies."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ciml.metrics import dice
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.shapes.data import Primary, Shapes, make_shapes
from napari_ciml.research.shapes.network import ShapeNetwork, ShapePrediction

_PAIRS, _TEST_PAIRS = 1000, 200
_WARM_UP = ((0.2, 0.5), (0.05, 1.0))
"""Fractions of the steps between which beta grows, and fractions of its value there."""
_MAX_GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class ShapeSettings:
    """Training settings; the learning rate decays by step as in eq. 13.

    Parameters
    ----------
    beta : float
        Weight of the KL divergence, in nats, averaged over pixels.
    primary : {"ellipse", "triangle"}
        Shape in the primary modality.
    steps, batch_size : int
        Number of optimiser steps, and of pairs per step.
    learning_rate : float
        Initial learning rate.
    seed : int
        Seed of weights, batches and noise; the pairs are the same for all seeds.
    """

    beta: float = 1.5
    primary: Primary = "ellipse"
    steps: int = 2000
    batch_size: int = 16
    learning_rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True)
class ShapeResult:
    """Results on the test pairs.

    Parameters
    ----------
    dice : float
        Dice of the union.
    nats : float
        Complementary information per pair.
    fractions : dict of str to float
        Fraction of the nats in each part of the image (`Shapes.parts`).
    """

    dice: float
    nats: float
    fractions: dict[str, float]


def split_shapes(primary: Primary) -> tuple[Shapes, Shapes]:
    """Return 800 training pairs and 200 test pairs."""
    shapes = make_shapes(_PAIRS, 0, primary)
    count = _PAIRS - _TEST_PAIRS
    training, test = (
        Shapes(shapes.primary[part], shapes.auxiliary[part])
        for part in (slice(0, count), slice(count, _PAIRS))
    )
    return training, test


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
        indices = rng.integers(0, len(training.primary), settings.batch_size)
        batch = Shapes(training.primary[indices], training.auxiliary[indices])
        prediction = network(images(batch.primary), images(batch.auxiliary), sample=True)
        # With full weight from the start, training stays where no information is passed; without
        # any weight, mu grows so large that training does not recover.
        beta = settings.beta * np.interp(step / settings.steps, *_WARM_UP)
        loss = _loss(prediction, images(batch.union)) + beta * prediction.nats().mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), _MAX_GRADIENT_NORM)
        adam.step()
    return network.eval()


def predict(network: ShapeNetwork, shapes: Shapes) -> ShapePrediction:
    """Segment pairs without noise."""
    with torch.inference_mode():
        prediction: ShapePrediction = network(
            images(shapes.primary), images(shapes.auxiliary), sample=False
        )
        return prediction


def measure(network: ShapeNetwork, test: Shapes) -> ShapeResult:
    """Return the Dice of the union, and the distribution of the KL divergence."""
    prediction = predict(network, test)
    nats = prediction.nats()[:, 0].double().numpy()
    predicted = (prediction.logits[:, 0] > 0).numpy()
    scores = [dice(mask, union) for mask, union in zip(predicted, test.union, strict=True)]
    fractions = {name: float(nats[mask].sum() / nats.sum()) for name, mask in test.parts().items()}
    return ShapeResult(float(np.mean(scores)), float(nats.sum() / len(nats)), fractions)


def images(masks: np.ndarray) -> Tensor:
    """Return masks (N, Y, X) as images of 0 and 1, (N, 1, Y, X) float32."""
    return torch.from_numpy(masks[:, None].astype(np.float32))


def _loss(prediction: ShapePrediction, target: Tensor) -> Tensor:
    from monai.losses import DiceLoss

    cross_entropy = functional.binary_cross_entropy_with_logits(prediction.logits, target)
    dice_loss: Tensor = DiceLoss(sigmoid=True, batch=True)(prediction.logits, target)
    return dice_loss + cross_entropy
