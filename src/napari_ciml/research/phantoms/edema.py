"""Edema of more kinds: from a rim to most of a hemisphere, from bright to hardly seen."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from napari_ciml.research.phantoms.foci import Focus
from napari_ciml.research.phantoms.tumour import EDEMA, Tumour

EXTENTS = {"rim": 0.25, "typical": 0.45, "wide": 0.2, "hemisphere": 0.1}
"""How often each extent of edema occurs."""

_RIM, _WIDE_MM, _HEMISPHERE_MM = (1.0, 1.12), (15.0, 35.0), (50.0, 75.0)
"""Radii: in radii of the core; beyond the core; of the edema itself."""

_ACROSS_MM = 12.0
"""How far edema may reach into the other hemisphere, at most."""

_FAINT, _STRENGTH = 0.4, (0.25, 0.8)
"""Share of tumours whose edema is faint, and how much of its signal is left."""


def draw_extent(rng: np.random.Generator, foci: Sequence[Focus]) -> list[Focus]:
    """Give all foci of a tumour edema of one extent."""
    extent = str(rng.choice(list(EXTENTS), p=list(EXTENTS.values())))
    if extent == "typical":
        return list(foci)
    found = []
    for focus in foci:
        radius = {
            "rim": focus.core * rng.uniform(*_RIM),
            "wide": focus.core + rng.uniform(*_WIDE_MM),
            "hemisphere": max(focus.core, rng.uniform(*_HEMISPHERE_MM)),
        }[extent]
        found.append(replace(focus, edema=float(radius)))
    return found


def fade_edema(rng: np.random.Generator, tumour: Tumour) -> Tumour:
    """Let the edema of some tumours be faint; labels stay."""
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
    """Keep edema from spreading over the other hemisphere, which it reaches through a bridge alone.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    tumour : Tumour
        As it grew.
    foci : sequence of Focus
        What it grew from.
    across : numpy.ndarray
        How many voxels each voxel lies to the left of the midline, (Z, Y, X).
    spacing : float
        Voxel size in mm.
    """
    reach = rng.uniform(0, _ACROSS_MM) / spacing
    allowed = np.zeros(across.shape, bool)
    last = np.array(across.shape) - 1
    for focus in foci:
        place = across[tuple(np.clip(np.rint(focus.centre).astype(int), 0, last))]
        allowed |= across * np.sign(place) > -reach
    kept = allowed | (tumour.labels != EDEMA)
    return replace(tumour, labels=tumour.labels * kept, edema=tumour.edema * allowed)
