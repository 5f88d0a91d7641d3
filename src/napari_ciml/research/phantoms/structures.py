"""Signal of sinuses, dura, choroid plexus, pituitary and deep grey matter in each modality."""

from collections.abc import Mapping

import numpy as np

from napari_ciml.research.phantoms.anatomy import Anatomy

Range = tuple[str, float, float]
"""A tissue and the minimum and maximum factor by which its mean is multiplied."""

SIGNALS: dict[str, dict[str, Range]] = {
    "sinus": {
        "T1": ("grey", 0.45, 1.0), "T2": ("grey", 0.2, 0.9), "FLAIR": ("grey", 0.35, 1.0),
        "T1CE": ("white", 1.05, 2.3),
    },
    "dura": {
        "T1": ("grey", 0.5, 0.9), "T2": ("grey", 0.2, 0.7), "FLAIR": ("grey", 0.4, 1.1),
        "T1CE": ("white", 0.8, 1.9),
    },
    "plexus": {
        "T1": ("grey", 0.6, 1.0), "T2": ("fluid", 0.5, 0.9), "FLAIR": ("grey", 0.7, 1.4),
        "T1CE": ("white", 1.1, 2.2),
    },
    "pituitary": {
        "T1": ("grey", 0.9, 1.2), "T2": ("grey", 0.8, 1.2), "FLAIR": ("grey", 0.9, 1.2),
        "T1CE": ("white", 1.2, 2.0),
    },
    "lesion": {
        "T1": ("grey", 0.8, 1.1), "T2": ("edema", 0.7, 1.0), "FLAIR": ("edema", 0.7, 1.0),
        "T1CE": ("grey", 0.8, 1.1),
    },
}  # fmt: skip
"""By structure and modality; ``deep`` is a mixture of white and grey matter in all modalities."""

_DEEP = (0.2, 0.9)
"""Range of the weight of grey against white matter in the signal of deep grey matter."""

_AGENT = (0.3, 1.2)
"""Range of the amount of contrast agent at the time of T1CE, which differs between patients."""

_MEAN_STD = 0.08
"""Standard deviation of a random factor of each structure's mean."""


def draw_agent(rng: np.random.Generator) -> float:
    """Draw the amount of contrast agent in the vessels and membranes of a patient."""
    return float(rng.uniform(*_AGENT))


def structure_means(
    rng: np.random.Generator, modality: str, means: Mapping[str, float], agent: float
) -> dict[str, float]:
    """Draw the mean of each structure, given the means of the tissues in the same image.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    modality : str
        FLAIR, T1, T1CE or T2.
    means : mapping of str to float
        Mean by tissue.
    agent : float
        As returned by `draw_agent`; used in T1CE only.
    """
    weight = rng.uniform(*_DEEP)
    drawn = {"deep": weight * means["grey"] + (1 - weight) * means["white"]}
    for name, by_modality in SIGNALS.items():
        tissue, low, high = by_modality[modality]
        factor = rng.uniform(low, high)
        if modality == "T1CE" and factor > 1:
            factor = 1 + (factor - 1) * agent
        drawn[name] = max(0.02, means[tissue] * factor * rng.normal(1, _MEAN_STD))
    return drawn


def overlay_structures(anatomy: Anatomy, healthy: np.ndarray) -> dict[str, np.ndarray]:
    """Return the fractions of healthy tissues and structures, given the healthy fraction.

    Structures replace white matter, grey matter and fluid; several structures in one voxel are
    scaled to a sum of 1.
    """
    tissues = {"white": anatomy.white, "grey": anatomy.grey, "fluid": anatomy.fluid}
    if not anatomy.structures:
        return {name: share * healthy for name, share in tissues.items()}
    total = np.sum(list(anatomy.structures.values()), axis=0)
    scale = np.maximum(total, 1)
    rest = healthy * (1 - np.minimum(total, 1))
    remaining = {name: share * rest for name, share in tissues.items()}
    weight = healthy / scale
    return remaining | {name: share * weight for name, share in anatomy.structures.items()}
