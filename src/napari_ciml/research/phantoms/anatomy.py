"""Brains of random shape, deformed from one atlas: the ICBM 152 (2009a) maps in nilearn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_ciml.errors import InputError
from napari_ciml.research.phantoms.fields import Shape, blur, grid_points, smooth_field

_TILT = 8.0
_SCALE = 0.09
_WARP_MM = 5.0
_DETAIL_MM = 1.8


@dataclass(frozen=True)
class Anatomy:
    """Tissue fractions of every voxel, each (Z, Y, X) float32 in [0, 1].

    Parameters
    ----------
    white, grey : numpy.ndarray
        White and grey matter.
    fluid, ventricles : numpy.ndarray
        All CSF, and the part of it in the ventricles.
    brain : numpy.ndarray
        Mask after skull stripping, bool; for an anatomy to be deformed it may also be a probability
        (float32), with threshold 0.5.
    structures : mapping of str to numpy.ndarray
        Fractions of structures that replace these tissues, by name: venous sinuses, dura, choroid
        plexus and so on.
    """

    white: np.ndarray
    grey: np.ndarray
    fluid: np.ndarray
    ventricles: np.ndarray
    brain: np.ndarray
    structures: Mapping[str, np.ndarray] = field(default_factory=dict)


@lru_cache(maxsize=4)
def atlas(spacing: float) -> Anatomy:
    """Return the atlas at a voxel size in mm, with the axes of a BraTS volume (LPS).

    Raises
    ------
    InputError
        If nilearn is not installed.
    """
    try:
        from nilearn import datasets
    except ImportError as error:
        raise InputError(
            "Glioma phantoms need nilearn: pip install 'napari-ciml[phantoms]'."
        ) from error
    loaders = (
        datasets.load_mni152_wm_template,
        datasets.load_mni152_gm_template,
        datasets.load_mni152_brain_mask,
    )
    # nilearn's axes are RAS; LPS flips the first two.
    maps = [np.asarray(load(resolution=1).dataobj, np.float32)[::-1, ::-1].T for load in loaders]
    white, grey, mask = (resample_atlas(volume, spacing) for volume in maps)
    brain = mask > 0.5
    total = np.maximum(white + grey, 1.0)
    white, grey = white / total * brain, grey / total * brain
    fluid = np.clip(1 - white - grey, 0, 1) * brain
    depth = ndimage.distance_transform_edt(brain) * spacing
    ventricles = fluid * (depth > 25) * _central(brain.shape)
    return Anatomy(white, grey, fluid, ventricles.astype(np.float32), brain)


def depth_mm(spacing: float, base: Anatomy | None = None) -> np.ndarray:
    """Return each voxel's depth in the brain, (Z, Y, X) float32 in mm; 0 outside.

    The brain is that of the atlas by default.
    """
    return _atlas_depth(spacing) if base is None else _depth(base.brain, spacing)


@lru_cache(maxsize=4)
def _atlas_depth(spacing: float) -> np.ndarray:
    return _depth(atlas(spacing).brain, spacing)


def _depth(brain: np.ndarray, spacing: float) -> np.ndarray:
    depth = ndimage.distance_transform_edt(brain > 0.5) * spacing
    return np.asarray(depth, np.float32)


def deform(
    rng: np.random.Generator,
    spacing: float,
    push: np.ndarray | None = None,
    base: Anatomy | None = None,
) -> tuple[Anatomy, np.ndarray]:
    """Return a brain of random pose and shape, and each voxel's position in the original anatomy.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    spacing : float
        Voxel size in mm.
    push : numpy.ndarray, optional
        Additional displacement in voxels, (3, Z, Y, X): a mass effect.
    base : Anatomy, optional
        Anatomy to deform; the atlas by default.

    Returns
    -------
    Anatomy
        Tissue fractions of the brain.
    numpy.ndarray
        Positions in the original anatomy in voxels, (3, Z, Y, X).
    """
    base = base or atlas(spacing)
    shape: Shape = base.brain.shape
    points = _affine(rng, shape)
    for scale_mm, amplitude in ((40.0, _WARP_MM), (14.0, _DETAIL_MM)):
        for axis in range(3):
            field = smooth_field(rng, shape, scale_mm / spacing)
            points[axis] += field * rng.uniform(0.3, 1) * amplitude / spacing
    if push is not None:
        points += push
    return sample(base, points, rng), points


def sample(base: Anatomy, points: np.ndarray, rng: np.random.Generator) -> Anatomy:
    """Sample an anatomy at points, vary the width of fluid spaces, and skull-strip imperfectly."""

    def at_points(volume: np.ndarray) -> np.ndarray:
        values = ndimage.map_coordinates(
            volume.astype(np.float32), points, order=1, mode="constant"
        )
        return np.asarray(values)

    white, grey, fluid, ventricles, brain = (
        at_points(volume)
        for volume in (base.white, base.grey, base.fluid, base.ventricles, base.brain)
    )
    structures = {name: at_points(volume) for name, volume in base.structures.items()}
    if structures:
        # Skull stripping leaves more on the brain at some sites than at others.
        brain = brain ** np.exp(rng.uniform(-0.7, 1.4))
    # Atrophy: an exponent below 1 widens sulci and ventricles, above 1 narrows them.
    fluid = np.clip(fluid, 0, 1) ** rng.uniform(0.6, 1.5)
    matter = (1 - fluid) / np.maximum(white + grey, 1e-3)
    edge = 0.5 + 0.12 * smooth_field(rng, brain.shape, 12) * rng.uniform(0, 1) ** 2
    mask = brain > edge
    return Anatomy(
        white * matter * mask,
        grey * matter * mask,
        fluid * mask,
        ventricles * mask,
        mask,
        {name: values * mask for name, values in structures.items()},
    )


def _affine(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    rotation = Rotation.from_euler("xyz", rng.normal(0, _TILT / 2, 3), degrees=True).as_matrix()
    scaling = np.diag(np.exp(rng.normal(0, _SCALE / 2, 3)))
    if rng.random() < 0.5:
        scaling[2, 2] *= -1
    centre = (np.array(shape, np.float32) - 1) / 2
    points = grid_points(shape).reshape(3, -1) - centre[:, None]
    matrix = (rotation @ scaling).astype(np.float32)
    return (matrix @ points + centre[:, None].astype(np.float32)).reshape(3, *shape)


def _central(shape: Shape) -> np.ndarray:
    """Return a central box, which excludes the other deep CSF: fissure and basal cisterns."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, edge) for edge in shape), indexing="ij")
    return (np.abs(x) < 0.45) & (np.abs(y) < 0.6) & (z > -0.35) & (z < 0.45)


def resample_atlas(volume: np.ndarray, spacing: float) -> np.ndarray:
    """Resample a volume of 1 mm to a voxel size, smoothed if that is larger."""
    smooth = blur(volume, 0.4 * np.sqrt(max(spacing**2 - 1, 0.0)))
    return ndimage.zoom(smooth, 1 / spacing, order=1, grid_mode=True, mode="nearest")
