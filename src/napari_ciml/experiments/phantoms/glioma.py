"""A glioma phantom: deformed anatomy, a tumour in it, four contrasts of both."""

import numpy as np

from napari_ciml.experiments.phantoms.anatomy import atlas, deform
from napari_ciml.experiments.phantoms.contrast import render
from napari_ciml.experiments.phantoms.tumour import draw_kind, draw_lesions, grow, mass_effect


def make(rng: np.random.Generator, spacing: float) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return modalities, each (Z, Y, X) float32, and labels, (Z, Y, X) uint8."""
    brain = atlas(spacing).brain
    kind = draw_kind(rng)
    lesions = draw_lesions(rng, kind, brain, spacing)
    push = mass_effect(rng, lesions, brain.shape, spacing)
    anatomy, _ = deform(rng, spacing, push)
    tumour = grow(rng, kind, lesions, anatomy, spacing)
    return render(rng, anatomy, tumour, spacing), tumour.labels
