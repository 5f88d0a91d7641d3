"""Tumours: where they sit, how they grow, what they push aside."""

from dataclasses import dataclass

import numpy as np

from napari_ciml.experiments.phantoms.anatomy import Anatomy
from napari_ciml.experiments.phantoms.fields import Shape, blur, grid_points, rough_field

KINDS = {
    "ring": 0.33, "mixed": 0.25, "solid": 0.1, "low-grade": 0.17, "metastases": 0.12, "none": 0.03,
}  # fmt: skip
"""How often each kind of tumour occurs."""

_SKULL_MM = 15.0
"""Depth over which the skull holds tissue back."""

NECROSIS, EDEMA, ENHANCING = 1, 2, 4


@dataclass(frozen=True)
class Tumour:
    """What a tumour turns tissue into.

    ``labels`` are BraTS 2020's, (Z, Y, X) uint8. ``solid`` marks core that is neither necrotic
    nor enhancing, bool: it has label 1 too. ``edema`` is the strength of the edema in [0, 1].
    """

    kind: str
    labels: np.ndarray
    solid: np.ndarray
    edema: np.ndarray


@dataclass(frozen=True)
class Lesion:
    """One focus: centre in voxels (Z, Y, X), radii of core and of edema in mm."""

    centre: np.ndarray
    core: float
    edema: float


def draw_kind(rng: np.random.Generator) -> str:
    """Draw which kind of tumour a phantom has."""
    return str(rng.choice(list(KINDS), p=list(KINDS.values())))


def draw_lesions(rng: np.random.Generator, kind: str, depth: np.ndarray) -> list[Lesion]:
    """Draw the foci of a tumour, given each voxel's depth in mm; none for the kind ``none``."""
    deep = 12 if rng.random() < 0.5 else rng.uniform(3, 12)
    places = np.argwhere((depth > deep) & _upper(depth.shape))
    count = {"none": 0, "metastases": int(rng.integers(1, 5))}.get(kind, 1 + (rng.random() < 0.1))
    lesions = []
    for _ in range(count):
        if kind == "metastases":
            core = rng.uniform(4, 14)
            spread = rng.uniform(1.3, 3.0)
        elif kind == "low-grade":
            core = rng.uniform(12, 36)
            spread = rng.uniform(1.02, 1.35)
        else:
            core = np.clip(rng.lognormal(np.log(19), 0.4), 7, 42)
            spread = rng.uniform(1.1, 2.3)
        centre = places[rng.integers(len(places))].astype(np.float32)
        lesions.append(Lesion(centre, float(core), float(min(core * spread, 62))))
    return lesions


def mass_effect(
    rng: np.random.Generator, lesions: list[Lesion], depth: np.ndarray, spacing: float
) -> np.ndarray:
    """Return the displacement in voxels, (3, Z, Y, X), that pulls samples towards each focus.

    Sampling nearer to the centre than a voxel lies is what pushes tissue outwards; at the skull,
    where ``depth`` in mm is 0, nothing gives way.
    """
    shape: Shape = depth.shape
    held = 1 - np.exp(-((depth / _SKULL_MM) ** 2))
    total = np.zeros((3, *shape), np.float32)
    for lesion in lesions:
        away = (grid_points(shape) - lesion.centre[:, None, None, None]) * spacing
        distance = np.sqrt((away**2).sum(axis=0)) + 1e-3
        reach = 1.6 * lesion.core
        strength = rng.uniform(0, 0.5) * lesion.core
        shift = strength * (distance / reach) * np.exp(1 - distance / reach)
        total -= away / distance * (shift * held) / spacing
    return total


def grow(
    rng: np.random.Generator, kind: str, lesions: list[Lesion], anatomy: Anatomy, spacing: float
) -> Tumour:
    """Let every focus grow into the tissue it is in."""
    shape: Shape = anatomy.brain.shape
    labels = np.zeros(shape, np.uint8)
    solid, strength = np.zeros(shape, bool), np.zeros(shape, np.float32)
    tissue = anatomy.brain & (anatomy.ventricles < 0.5)
    for lesion in lesions:
        r = _distance(rng, lesion, shape, spacing)
        core = (r < lesion.core) & tissue
        # Edema follows white matter and spares the cortex, which gives it its fingers.
        halo = r - rng.uniform(6, 14) * (anatomy.white - 0.55)
        edema = (halo < lesion.edema) & tissue & (anatomy.fluid < 0.5) & ~core
        fade = np.clip((lesion.edema - halo) / rng.uniform(3, 9) + 0.45, 0, 1)
        labels[edema & (labels == 0)] = EDEMA
        strength = np.maximum(strength, edema * fade)
        inner, ring = _inside(rng, kind, r, lesion, core, spacing)
        labels[core] = NECROSIS
        labels[ring] = ENHANCING
        solid = (solid & ~core) | (core & ~inner & ~ring)
    return Tumour(kind, labels, solid, strength)


def _inside(
    rng: np.random.Generator,
    kind: str,
    r: np.ndarray,
    lesion: Lesion,
    core: np.ndarray,
    spacing: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a core into necrosis (or cyst) and enhancing tissue; the rest is solid."""
    shape: Shape = core.shape
    noise = rough_field(rng, shape, 9 / spacing)
    nothing = np.zeros(shape, bool)
    if kind == "low-grade":
        cyst = core & (noise > rng.uniform(0.8, 2.5))
        faint = core & (noise < -1.7) if rng.random() < 0.25 else nothing
        return cyst, faint
    if kind == "mixed":
        return _mosaic(rng, core, spacing)
    if kind == "solid" or (kind == "metastases" and lesion.core < 7):
        necrosis = core & (noise > rng.uniform(1.2, 2.5)) & (r < 0.8 * lesion.core)
        patch = core & ~necrosis & (rough_field(rng, shape, 12 / spacing) > rng.uniform(-2, -0.6))
        return necrosis, patch
    width = rng.uniform(2.0, 6.0) + rng.uniform(0.5, 2.5) * noise
    hollow = core & (r < lesion.core - np.maximum(width, 0.8))
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


def _distance(rng: np.random.Generator, lesion: Lesion, shape: Shape, spacing: float) -> np.ndarray:
    """Return the distance from a focus in mm, stretched and roughened: (Z, Y, X)."""
    away = (grid_points(shape) - lesion.centre[:, None, None, None]) * spacing
    stretch = np.exp(rng.normal(0, 0.18, 3)).astype(np.float32)
    r = np.sqrt(((away / stretch[:, None, None, None]) ** 2).sum(axis=0))
    bumps = rough_field(rng, shape, 22 / spacing)
    return r + rng.uniform(0.08, 0.22) * lesion.core * bumps


def _upper(shape: Shape) -> np.ndarray:
    """Exclude cerebellum and brain stem, where gliomas of adults are rare."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, edge) for edge in shape), indexing="ij")
    cerebellum = (z < -0.1) & (y > 0.2)
    brain_stem = (z < -0.35) & (np.abs(x) < 0.3)
    return (z > -0.65) & ~cerebellum & ~brain_stem


def soften(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Return a mask as shares of voxels with a soft border."""
    return blur(mask.astype(np.float32), sigma)
