"""Small synthetic volumes in which no single modality suffices, for studies with a small budget.

Each region is visible in one modality, but ambiguous there; another modality resolves the
ambiguity. Distractors look like tumour in one modality or in two.
"""

import numpy as np

from napari_ciml.research.phantoms.fields import (
    Shape,
    blur,
    grid_points,
    rough_field,
    smooth_field,
)
from napari_ciml.training.cohort import TrainingCase

MODALITIES = ("FLAIR", "T1", "T1CE", "T2")
SHAPE: Shape = (48, 48, 48)
SPACING_MM = 4.0

_TISSUES = ("fluid", "edema", "necrosis", "enhancing", "spots", "cysts", "vessels")

# Contrast to brain tissue, of the order of the noise. Spots look like edema in FLAIR and T2, cysts
# like necrosis in T1 and T1CE, vessels like enhancement in T1CE, fluid like edema in T2.
_CONTRAST = {
    "FLAIR": (-1.2, 1.2, 0.9, 1.0, 1.2, -1.2, -0.2),
    "T1": (-1.5, -0.45, -1.0, -0.7, 0.0, -1.1, -0.3),
    "T1CE": (-1.5, -0.45, -0.9, 1.6, 0.0, -1.0, 1.6),
    "T2": (1.5, 1.2, 1.5, 0.9, 1.2, 1.5, -1.2),
}
_ANATOMY, _COMMON, _BIAS, _NOISE = 0.4, 0.5, 0.3, 0.4


def make_volume(seed: int) -> TrainingCase:
    """Make a volume with the regions WT, TC and ET, reproducibly.

    Parameters
    ----------
    seed : int
        Seed of everything random.

    Returns
    -------
    TrainingCase
        Images (4, 48, 48, 48) in the order FLAIR, T1, T1CE, T2, z-scored inside the brain; regions
        (3, 48, 48, 48).
    """
    rng = np.random.default_rng((seed, 48))
    brain = _ball(rng, np.array([23.5, 23.5, 23.5]), np.array([19, 22, 17]), 0.05)
    masks = _tissues(rng, brain)
    common = _COMMON * rough_field(rng, SHAPE, 6)
    anatomy = _ANATOMY * np.tanh(rough_field(rng, SHAPE, 8))
    images = []
    for modality in MODALITIES:
        image = anatomy * rng.uniform(0.5, 1.2) + common * rng.uniform(0.5, 1.2)
        image += _BIAS * smooth_field(rng, SHAPE, 24)
        for name, contrast in zip(_TISSUES, _CONTRAST[modality], strict=True):
            soft = blur(masks[name], 0.5)
            image = image * (1 - 0.6 * soft) + soft * contrast * rng.uniform(0.7, 1.2)
        image += _NOISE * blur(rng.standard_normal(SHAPE), 0.5) / 0.43
        inside = image[brain]
        images.append(np.where(brain, (image - inside.mean()) / inside.std(), 0))
    core = masks["necrosis"] | masks["enhancing"]
    regions = np.stack([core | masks["edema"], core, masks["enhancing"]])
    return TrainingCase.from_arrays(np.stack(images).astype(np.float16), regions)


def _tissues(rng: np.random.Generator, brain: np.ndarray) -> dict[str, np.ndarray]:
    """Return masks of all structures; the tumour replaces the distractors."""
    inner = np.argwhere(blur(brain, 3) > 0.97)
    masks = {
        "fluid": brain & (rough_field(rng, SHAPE, 7) > 1.7),
        "spots": _balls(rng, inner, int(rng.integers(3, 8)), (1.5, 4.5)),
        "cysts": _balls(rng, inner, int(rng.integers(2, 5)), (2, 5)),
        "vessels": _balls(rng, inner, int(rng.integers(3, 8)), (1, 2.5)),
    }
    centre = inner[rng.integers(len(inner))].astype(np.float32)
    core_radius, reach = rng.uniform(3.5, 8), rng.uniform(1.5, 5.5)
    distance = np.sqrt(((grid_points(SHAPE) - centre[:, None, None, None]) ** 2).sum(axis=0))
    distance += 0.2 * core_radius * rough_field(rng, SHAPE, 8)
    core = brain & (distance < core_radius)
    rim = core & (distance > core_radius - rng.uniform(1, 3)) & (rough_field(rng, SHAPE, 6) > -0.9)
    edema = brain & ~core & (distance + 0.8 * rough_field(rng, SHAPE, 5) < core_radius + reach)
    tumour = core | edema
    masks = {name: mask & brain & ~tumour for name, mask in masks.items()}
    return {**masks, "edema": edema, "necrosis": core & ~rim, "enhancing": rim}


def _balls(
    rng: np.random.Generator, candidates: np.ndarray, count: int, radii: tuple[float, float]
) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    for _ in range(count):
        centre = candidates[rng.integers(len(candidates))]
        radius = rng.uniform(*radii) * np.exp(rng.normal(0, 0.2, 3))
        mask |= _ball(rng, centre, radius, 0.15)
    return mask


def _ball(
    rng: np.random.Generator, centre: np.ndarray, radii: np.ndarray, roughness: float
) -> np.ndarray:
    offset = (grid_points(SHAPE) - np.reshape(centre, (3, 1, 1, 1))) / np.reshape(
        radii, (3, 1, 1, 1)
    )
    return np.sqrt((offset**2).sum(axis=0)) + roughness * rough_field(rng, SHAPE, 6) < 1
