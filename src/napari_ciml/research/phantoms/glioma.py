"""Glioma phantom: deformed anatomy with a tumour, in four MR contrasts."""

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
    exclusive: ExclusiveModality | None = None,
    protocol: str = "standard",
    heads: HeadFolder | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the modalities, each (Z, Y, X) float32, and the label map, (Z, Y, X) uint8.

    The anatomy is that of the atlas, or one of ``heads``, in which the edema varies more.
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
    images = render(rng, anatomy, tumour, spacing, exclusive, protocol)
    # Voxels outside the field of view have no label.
    return images, tumour.labels * (images["T1"] > 0)
