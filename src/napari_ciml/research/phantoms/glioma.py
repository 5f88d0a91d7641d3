"""A glioma phantom: deformed anatomy, a tumour in it, four contrasts of both."""

import numpy as np

from napari_ciml.research.phantoms.anatomy import deform, depth_mm
from napari_ciml.research.phantoms.contrast import ExclusiveModality, render
from napari_ciml.research.phantoms.edema import confine_to_hemisphere, draw_extent, fade_edema
from napari_ciml.research.phantoms.foci import draw_foci, draw_kind, mass_effect
from napari_ciml.research.phantoms.heads import HeadFolder
from napari_ciml.research.phantoms.tumour import grow


def make(
    rng: np.random.Generator,
    spacing: float,
    carried: ExclusiveModality | None = None,
    protocol: str = "usual",
    heads: HeadFolder | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return modalities, each (Z, Y, X) float32, and labels, (Z, Y, X) uint8.

    The anatomy is the atlas', or one of ``heads``, where edema is of more kinds, too.
    """
    base = heads.draw(rng, spacing) if heads else None
    depth = depth_mm(spacing, base)
    foci = draw_foci(rng, draw_kind(rng), depth, spacing)
    if heads:
        foci = draw_extent(rng, foci)
    push = mass_effect(rng, foci, depth, spacing)
    anatomy, points = deform(rng, spacing, push, base)
    tumour = grow(rng, foci, anatomy, spacing)
    if heads:
        middle = (depth.shape[2] - 1) / 2
        tumour = fade_edema(
            rng, confine_to_hemisphere(rng, tumour, foci, points[2] - middle, spacing)
        )
    images = render(rng, anatomy, tumour, spacing, carried, protocol)
    # What lies outside the field of view is labelled by nobody.
    return images, tumour.labels * (images["T1"] > 0)
