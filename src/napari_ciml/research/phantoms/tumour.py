"""Tumours: what each focus turns tissue into."""

from dataclasses import dataclass

import numpy as np

from napari_ciml.research.phantoms.anatomy import Anatomy
from napari_ciml.research.phantoms.fields import Shape, blur, grid_points, rough_field
from napari_ciml.research.phantoms.foci import Focus

NECROSIS, EDEMA, ENHANCING = 1, 2, 4


@dataclass(frozen=True)
class Tumour:
    """What a tumour turns tissue into.

    ``labels`` are BraTS 2020's, (Z, Y, X) uint8. ``solid`` marks core that is neither necrotic
    nor enhancing, bool: it has label 1 too. ``edema`` is the strength of the edema in [0, 1].
    """

    labels: np.ndarray
    solid: np.ndarray
    edema: np.ndarray


def grow(rng: np.random.Generator, foci: list[Focus], anatomy: Anatomy, spacing: float) -> Tumour:
    """Let every focus grow into the tissue it is in."""
    shape: Shape = anatomy.brain.shape
    labels = np.zeros(shape, np.uint8)
    solid, strength = np.zeros(shape, bool), np.zeros(shape, np.float32)
    tissue = anatomy.brain & (anatomy.ventricles < 0.5)
    for focus in foci:
        r, leaning = _distance(rng, focus, shape, spacing)
        core = (r < focus.core) & tissue
        # Edema follows white matter and spares the cortex, which gives it its fingers.
        halo = leaning - rng.uniform(6, 14) * (anatomy.white - 0.55)
        edema = (halo < focus.edema) & tissue & (anatomy.fluid < 0.5) & ~core
        fade = np.clip((focus.edema - halo) / rng.uniform(3, 9) + 0.45, 0, 1)
        labels[edema & (labels == 0)] = EDEMA
        strength = np.maximum(strength, edema * fade)
        inner, ring = _inside(rng, r, focus, core, spacing)
        labels[core] = NECROSIS
        labels[ring] = ENHANCING
        solid = (solid & ~core) | (core & ~inner & ~ring)
    return Tumour(labels, solid, strength)


def _inside(
    rng: np.random.Generator, r: np.ndarray, focus: Focus, core: np.ndarray, spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a core into necrosis (or cyst) and enhancing tissue; the rest is solid."""
    shape: Shape = core.shape
    noise = rough_field(rng, shape, 9 / spacing)
    nothing = np.zeros(shape, bool)
    if focus.kind == "cyst":
        return core, nothing
    if focus.kind == "low-grade":
        cyst = core & (noise > rng.uniform(0.8, 2.5))
        faint = core & (noise < -1.7) if rng.random() < 0.25 else nothing
        return cyst, faint
    if focus.kind == "mixed":
        return _mosaic(rng, core, spacing)
    if focus.kind == "solid" or (focus.kind == "metastases" and focus.core < 7):
        necrosis = core & (noise > rng.uniform(1.2, 2.5)) & (r < 0.8 * focus.core)
        patch = core & ~necrosis & (rough_field(rng, shape, 12 / spacing) > rng.uniform(-2, -0.6))
        return necrosis, patch
    width = rng.uniform(2.0, 6.0) + rng.uniform(0.5, 2.5) * noise
    hollow = core & (r < focus.core - np.maximum(width, 0.8))
    rim = core & ~hollow
    gaps = rough_field(rng, shape, 14 / spacing) > rng.uniform(1.0, 2.5)
    solid_part = hollow & (rough_field(rng, shape, 12 / spacing) > rng.uniform(0.5, 2.5))
    return hollow & ~solid_part, rim & ~gaps


def _mosaic(
    rng: np.random.Generator, core: np.ndarray, spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a core into ragged patches of necrosis, enhancing and solid tissue, of any sizes."""
    shape: Shape = core.shape
    fields = [rough_field(rng, shape, rng.uniform(8, 22) / spacing) for _ in range(3)]
    wanted = rng.dirichlet((2.0, 2.5, 1.2)) + 1e-3
    # Each field is raised until its patches take about the share that was drawn for them.
    scores = np.stack([f + np.log(share) for f, share in zip(fields, wanted, strict=True)])
    chosen = scores.argmax(axis=0)
    return core & (chosen == 0), core & (chosen == 1)


def _distance(
    rng: np.random.Generator, focus: Focus, shape: Shape, spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance from a focus in mm, stretched and roughened, and as its edema leans."""
    away = (grid_points(shape) - focus.centre[:, None, None, None]) * spacing
    stretch = np.exp(rng.normal(0, 0.18, 3)).astype(np.float32)
    plain = np.sqrt(((away / stretch[:, None, None, None]) ** 2).sum(axis=0))
    bumps = rough_field(rng, shape, 22 / spacing)
    r = plain + rng.uniform(0.08, 0.22) * focus.core * bumps
    return r, r - np.tensordot(focus.edema_direction, away, 1) / (plain + focus.core)


def soften(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Return a mask as shares of voxels with a soft border."""
    return blur(mask.astype(np.float32), sigma)
