"""How bright sinuses, dura, choroid plexus, pituitary and deep grey matter are in each modality."""

from collections.abc import Mapping

import numpy as np

from napari_ciml.research.phantoms.anatomy import Anatomy

Range = tuple[str, float, float]
"""A tissue, and by what its mean is multiplied: least and greatest."""

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
"""By structure and modality; ``deep`` lies between white and grey matter everywhere."""

_DEEP = (0.2, 0.9)
"""How much of grey matter's signal deep grey matter has; the rest is white matter's."""

_AGENT = (0.3, 1.2)
"""How much of the contrast agent is there when T1CE is taken: differs between patients."""

_MOTTLED = 0.08
"""Standard deviation of what else a structure's mean is multiplied by."""


def draw_agent(rng: np.random.Generator) -> float:
    """Draw how much contrast agent is in all of a patient's vessels and membranes."""
    return float(rng.uniform(*_AGENT))


def structure_means(
    rng: np.random.Generator, modality: str, means: Mapping[str, float], agent: float
) -> dict[str, float]:
    """Draw the mean of each structure from those of the tissues in the same image.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    modality : str
        FLAIR, T1, T1CE or T2.
    means : mapping of str to float
        By tissue.
    agent : float
        As `draw_agent`; it counts in T1CE alone.
    """
    part = rng.uniform(*_DEEP)
    found = {"deep": part * means["grey"] + (1 - part) * means["white"]}
    for name, by_modality in SIGNALS.items():
        tissue, least, greatest = by_modality[modality]
        factor = rng.uniform(least, greatest)
        if modality == "T1CE" and factor > 1:
            factor = 1 + (factor - 1) * agent
        found[name] = max(0.02, means[tissue] * factor * rng.normal(1, _MOTTLED))
    return found


def overlay_structures(anatomy: Anatomy, healthy: np.ndarray) -> dict[str, np.ndarray]:
    """Return the shares of healthy tissue and structures, given what a tumour has left of each.

    Structures take the place of white and grey matter and fluid; where more than one lies in a
    voxel they share it.
    """
    tissues = {"white": anatomy.white, "grey": anatomy.grey, "fluid": anatomy.fluid}
    if not anatomy.structures:
        return {name: share * healthy for name, share in tissues.items()}
    total = np.sum(list(anatomy.structures.values()), axis=0)
    crowded = np.maximum(total, 1)
    rest = healthy * (1 - np.minimum(total, 1))
    left = {name: share * rest for name, share in tissues.items()}
    taken = healthy / crowded
    return left | {name: share * taken for name, share in anatomy.structures.items()}
