"""Tumour tissue grown from foci."""

from dataclasses import dataclass

import numpy as np

from napari_ciml.research.phantoms.anatomy import Anatomy
from napari_ciml.research.phantoms.fields import Shape, blur, grid_points, rough_field
from napari_ciml.research.phantoms.foci import Focus

NECROSIS, EDEMA, ENHANCING = 1, 2, 4


@dataclass(frozen=True)
class Tumour:
    """Tumour tissue, each array (Z, Y, X).

    Parameters
    ----------
    labels : numpy.ndarray
        Label map with the values of BraTS 2020, uint8.
    solid : numpy.ndarray
        Core that is neither necrotic nor enhancing, bool; its label is 1, too.
    edema : numpy.ndarray
        Strength of the edema in [0, 1].
    """

    labels: np.ndarray
    solid: np.ndarray
    edema: np.ndarray


def grow(rng: np.random.Generator, foci: list[Focus], anatomy: Anatomy, spacing: float) -> Tumour:
    """Grow every focus into the tissue around it."""
    shape: Shape = anatomy.brain.shape
    labels = np.zeros(shape, np.uint8)
    solid, strength = np.zeros(shape, bool), np.zeros(shape, np.float32)
    tissue = anatomy.brain & (anatomy.ventricles < 0.5)
    for focus in foci:
        r, asymmetric = _distance(rng, focus, shape, spacing)
        core = (r < focus.core) & tissue
        # Edema follows white matter and spares the cortex: hence its finger-like shape.
        halo = asymmetric - rng.uniform(6, 14) * (anatomy.white - 0.55)
        edema = (halo < focus.edema) & tissue & (anatomy.fluid < 0.5) & ~core
        fade = np.clip((focus.edema - halo) / rng.uniform(3, 9) + 0.45, 0, 1)
        labels[edema & (labels == 0)] = EDEMA
        strength = np.maximum(strength, edema * fade)
        necrosis, enhancing = _divide_core(rng, r, focus, core, spacing)
        labels[core] = NECROSIS
        labels[enhancing] = ENHANCING
        solid = (solid & ~core) | (core & ~necrosis & ~enhancing)
    return Tumour(labels, solid, strength)


def _divide_core(
    rng: np.random.Generator, r: np.ndarray, focus: Focus, core: np.ndarray, spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a core into necrosis (or cyst) and enhancing tissue; the rest is solid."""
    shape: Shape = core.shape
    noise = rough_field(rng, shape, 9 / spacing)
    empty = np.zeros(shape, bool)
    if focus.kind == "cyst":
        return core, empty
    if focus.kind == "low-grade":
        cyst = core & (noise > rng.uniform(0.8, 2.5))
        enhancing = core & (noise < -1.7) if rng.random() < 0.25 else empty
        return cyst, enhancing
    if focus.kind == "mixed":
        return _divide_into_patches(rng, core, spacing)
    if focus.kind == "solid" or (focus.kind == "metastases" and focus.core < 7):
        necrosis = core & (noise > rng.uniform(1.2, 2.5)) & (r < 0.8 * focus.core)
        patches = rough_field(rng, shape, 12 / spacing) > rng.uniform(-2, -0.6)
        return necrosis, core & ~necrosis & patches
    thickness = rng.uniform(2.0, 6.0) + rng.uniform(0.5, 2.5) * noise
    inner = core & (r < focus.core - np.maximum(thickness, 0.8))
    rim = core & ~inner
    gaps = rough_field(rng, shape, 14 / spacing) > rng.uniform(1.0, 2.5)
    solid = inner & (rough_field(rng, shape, 12 / spacing) > rng.uniform(0.5, 2.5))
    return inner & ~solid, rim & ~gaps


def _divide_into_patches(
    rng: np.random.Generator, core: np.ndarray, spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a core into ragged patches of necrosis and of enhancing tissue; the rest is solid."""
    shape: Shape = core.shape
    fields = [rough_field(rng, shape, rng.uniform(8, 22) / spacing) for _ in range(3)]
    fractions = rng.dirichlet((2.0, 2.5, 1.2)) + 1e-3
    # Each field is raised so that its patches fill about the fraction drawn for it.
    scores = np.stack([f + np.log(part) for f, part in zip(fields, fractions, strict=True)])
    tissue = scores.argmax(axis=0)
    return core & (tissue == 0), core & (tissue == 1)


def _distance(
    rng: np.random.Generator, focus: Focus, shape: Shape, spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance from a focus in mm, for its core and, asymmetric, for its edema."""
    offset = (grid_points(shape) - focus.centre[:, None, None, None]) * spacing
    scaling = np.exp(rng.normal(0, 0.18, 3)).astype(np.float32)
    ellipsoidal = np.sqrt(((offset / scaling[:, None, None, None]) ** 2).sum(axis=0))
    roughness = rough_field(rng, shape, 22 / spacing)
    r = ellipsoidal + rng.uniform(0.08, 0.22) * focus.core * roughness
    asymmetry = np.tensordot(focus.edema_direction, offset, 1) / (ellipsoidal + focus.core)
    return r, r - asymmetry


def soften(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Return a mask as voxel fractions with a soft border."""
    return blur(mask.astype(np.float32), sigma)
