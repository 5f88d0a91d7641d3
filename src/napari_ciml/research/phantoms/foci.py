"""Location and composition of a tumour, and its mass effect."""

from dataclasses import dataclass

import numpy as np

from napari_ciml.research.phantoms.fields import Shape, grid_points

KINDS = {
    "ring": 0.3, "mixed": 0.2, "solid": 0.1, "composite": 0.18, "low-grade": 0.1,
    "metastases": 0.1, "none": 0.02,
}  # fmt: skip
"""Probability of each kind of tumour."""

_COMPONENTS = ("ring", "mixed", "solid", "cyst", "low-grade")
"""Kinds of the adjacent foci of a composite tumour."""

_MAX_EDEMA_MM = 62.0
"""Largest radius of an edema."""

_SKULL_MM = 15.0
"""Depth over which the skull restrains displacement."""


@dataclass(frozen=True)
class Focus:
    """One focus of a tumour.

    Parameters
    ----------
    kind : str
        One of `KINDS`, or ``cyst``.
    centre : numpy.ndarray
        Position in voxels, (Z, Y, X).
    core, edema : float
        Radii in mm.
    edema_direction : numpy.ndarray
        Asymmetry of the edema in mm, (Z, Y, X): how much farther it reaches on this side, and less
        on the other.
    """

    kind: str
    centre: np.ndarray
    core: float
    edema: float
    edema_direction: np.ndarray


def draw_kind(rng: np.random.Generator) -> str:
    """Draw the kind of a phantom's tumour."""
    return str(rng.choice(list(KINDS), p=list(KINDS.values())))


def draw_foci(
    rng: np.random.Generator, kind: str, depth: np.ndarray, spacing: float
) -> list[Focus]:
    """Draw the foci of a tumour, given each voxel's depth in mm; none for the kind ``none``."""
    min_depth = 12 if rng.random() < 0.5 else rng.uniform(3, 12)
    candidates = np.argwhere((depth > min_depth) & _supratentorial(depth.shape))
    count = {"none": 0, "metastases": int(rng.integers(1, 5))}.get(kind, 1 + (rng.random() < 0.1))
    centres = candidates[rng.integers(len(candidates), size=count)].astype(np.float32)
    if kind == "composite":
        return _adjacent_foci(rng, centres[0], depth, spacing)
    return [_focus(rng, kind, centre, *_radii(rng, kind)) for centre in centres]


def _focus(
    rng: np.random.Generator, kind: str, centre: np.ndarray, core: float, spread: float
) -> Focus:
    direction = _direction(rng) * core * rng.uniform(0, 0.8)
    return Focus(kind, centre, core, min(core * spread, _MAX_EDEMA_MM), direction)


def _radii(rng: np.random.Generator, kind: str) -> tuple[float, float]:
    """Draw a core's radius in mm, and the ratio of its edema's radius to it."""
    if kind == "metastases":
        return rng.uniform(4, 14), rng.uniform(1.3, 3.0)
    if kind == "low-grade":
        return rng.uniform(12, 36), rng.uniform(1.02, 1.35)
    core = np.clip(rng.lognormal(np.log(20), 0.35), 8, 42)
    return float(core), rng.uniform(1.05, 1.8)


def _adjacent_foci(
    rng: np.random.Generator, first: np.ndarray, depth: np.ndarray, spacing: float
) -> list[Focus]:
    """Draw two to four foci that touch, each of a random kind."""
    foci: list[Focus] = []
    for _ in range(rng.integers(2, 5)):
        core, centre = rng.uniform(9, 24), first
        if foci:
            neighbour = foci[rng.integers(len(foci))]
            distance = (neighbour.core + core) * rng.uniform(0.55, 0.95) / spacing
            centre = (neighbour.centre + _direction(rng) * distance).astype(np.float32)
        voxel = np.clip(np.rint(centre).astype(int), 0, np.array(depth.shape) - 1)
        if depth[tuple(voxel)] > 0:
            kind = str(rng.choice(_COMPONENTS))
            foci.append(_focus(rng, kind, centre, core, rng.uniform(1.0, 1.8)))
    return foci


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def mass_effect(
    rng: np.random.Generator, foci: list[Focus], depth: np.ndarray, spacing: float
) -> np.ndarray:
    """Return the displacement of sampling points in voxels, (3, Z, Y, X), towards each focus.

    Sampling nearer to the centre pushes tissue outwards. At the skull, where ``depth`` in mm is 0,
    the displacement is 0.
    """
    shape: Shape = depth.shape
    freedom = 1 - np.exp(-((depth / _SKULL_MM) ** 2))
    total = np.zeros((3, *shape), np.float32)
    for focus in foci:
        offset = (grid_points(shape) - focus.centre[:, None, None, None]) * spacing
        distance = np.sqrt((offset**2).sum(axis=0)) + 1e-3
        reach = 1.6 * focus.core
        strength = rng.uniform(0, 0.5) * focus.core
        shift = strength * (distance / reach) * np.exp(1 - distance / reach)
        total -= offset / distance * (shift * freedom) / spacing
    return total


def _supratentorial(shape: Shape) -> np.ndarray:
    """Return a mask without cerebellum and brain stem, where gliomas of adults are rare."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, edge) for edge in shape), indexing="ij")
    cerebellum = (z < -0.1) & (y > 0.2)
    brain_stem = (z < -0.35) & (np.abs(x) < 0.3)
    return (z > -0.65) & ~cerebellum & ~brain_stem
