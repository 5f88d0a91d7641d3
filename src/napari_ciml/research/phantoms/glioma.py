"""A glioma phantom: deformed anatomy, a tumour in it, four contrasts of both."""

import numpy as np

from napari_ciml.research.phantoms.anatomy import deform, depth_mm
from napari_ciml.research.phantoms.contrast import ExclusiveModality, render
from napari_ciml.research.phantoms.foci import draw_foci, draw_kind, mass_effect
from napari_ciml.research.phantoms.tumour import grow


def make(
    rng: np.random.Generator,
    spacing: float,
    carried: ExclusiveModality | None = None,
    protocol: str = "usual",
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return modalities, each (Z, Y, X) float32, and labels, (Z, Y, X) uint8."""
    depth = depth_mm(spacing)
    foci = draw_foci(rng, draw_kind(rng), depth, spacing)
    push = mass_effect(rng, foci, depth, spacing)
    anatomy, _ = deform(rng, spacing, push)
    tumour = grow(rng, foci, anatomy, spacing)
    images = render(rng, anatomy, tumour, spacing, carried, protocol)
    # What lies outside the field of view is labelled by nobody.
    return images, tumour.labels * (images["T1"] > 0)
