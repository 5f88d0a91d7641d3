"""Variation of peritumoural edema: extent from a rim to most of a hemisphere, and contrast."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_ciml.research.phantoms.foci import Focus
from napari_ciml.research.phantoms.tumour import EDEMA, Tumour

EXTENTS = {"rim": 0.25, "typical": 0.45, "wide": 0.2, "hemisphere": 0.1}
"""Probability of each extent of edema."""

_RIM, _WIDE_MM, _HEMISPHERE_MM = (1.0, 1.12), (15.0, 35.0), (50.0, 75.0)
"""Ranges of the radius: as a multiple of the core radius; beyond the core; of the edema itself."""

_ACROSS_MM = 12.0
"""Maximum extent of edema into the contralateral hemisphere."""

_FAINT, _STRENGTH = 0.4, (0.25, 0.8)
"""Fraction of tumours with faint edema, and the range of the remaining signal."""


def draw_extent(rng: np.random.Generator, foci: Sequence[Focus]) -> list[Focus]:
    """Draw one extent of edema for all foci of a tumour."""
    extent = str(rng.choice(list(EXTENTS), p=list(EXTENTS.values())))
    if extent == "typical":
        return list(foci)
    changed = []
    for focus in foci:
        radius = {
            "rim": focus.core * rng.uniform(*_RIM),
            "wide": focus.core + rng.uniform(*_WIDE_MM),
            "hemisphere": max(focus.core, rng.uniform(*_HEMISPHERE_MM)),
        }[extent]
        changed.append(replace(focus, edema=float(radius)))
    return changed


def fade_edema(rng: np.random.Generator, tumour: Tumour) -> Tumour:
    """Reduce the signal of the edema of some tumours; the labels are unchanged."""
    if rng.random() >= _FAINT:
        return tumour
    return replace(tumour, edema=tumour.edema * np.float32(rng.uniform(*_STRENGTH)))


def confine_to_hemisphere(
    rng: np.random.Generator,
    tumour: Tumour,
    foci: Sequence[Focus],
    across: np.ndarray,
    spacing: float,
) -> Tumour:
    """Restrict edema to the hemisphere of the tumour, up to a short distance across the midline.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    tumour : Tumour
        The grown tumour.
    foci : sequence of Focus
        The foci it grew from.
    across : numpy.ndarray
        Signed distance of each voxel from the midline in voxels, positive to the left, (Z, Y, X).
    spacing : float
        Voxel size in mm.
    """
    reach = rng.uniform(0, _ACROSS_MM) / spacing
    allowed = np.zeros(across.shape, bool)
    last = np.array(across.shape) - 1
    for focus in foci:
        side = across[tuple(np.clip(np.rint(focus.centre).astype(int), 0, last))]
        allowed |= across * np.sign(side) > -reach
    kept = allowed | (tumour.labels != EDEMA)
    return replace(tumour, labels=tumour.labels * kept, edema=tumour.edema * allowed)
