"""Brains made from label maps of whole heads, with FreeSurfer's values inside the brain.

Written for the label maps that SynthSeg publishes to train on (Billot et al. 2023). They are read
from a folder of the user's; none is part of this package.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_ciml.cases.formats.volumes import image_suffix, read_volume
from napari_ciml.cases.geometry import reorient
from napari_ciml.errors import InputError
from napari_ciml.research.phantoms.anatomy import Anatomy, resample_atlas
from napari_ciml.research.phantoms.dural_folds import Surroundings, dural_structures

WHITE, GREY = (2, 41, 7, 46), (3, 42, 8, 47)
LEFT = (2, 3, 4, 5, 10, 11, 12, 13, 17, 18, 26, 28)
RIGHT = (41, 42, 43, 44, 49, 50, 51, 52, 53, 54, 58, 60)
CEREBELLUM = (7, 8, 46, 47)
STEM = (16,)
VENTRICLES = (4, 43, 5, 44, 14, 15)
PLEXUS = (31, 63, 136, 137, 163, 164)
"""136, 137, 163 and 164 are plexus in body, atrium and temporal horns of these label maps."""

LESIONS = (25, 57)
"""White matter beside the ventricles that is dark in T1."""

VESSELS = (30, 62, 514)
"""30 and 62 are arteries at the base; 514 is blood in veins: the neck's, and parts of sinuses."""

DEEP = (10, 11, 12, 13, 16, 17, 18, 26, 28, 49, 50, 51, 52, 53, 54, 58, 60)
FLUID, CHIASM = (24,), (72, 85)

_TISSUE = (*WHITE, *GREY, *DEEP, *VENTRICLES, *PLEXUS, *LESIONS)
_INTRACRANIAL = (*_TISSUE, *FLUID, *VESSELS, *CHIASM)

_NEEDED = (2, 3, 8, 16, 24, 41, 42, 47)
"""Labels without which a file is no head."""

_PAD_MM = 12
"""How far around the brain a label map is kept."""

_CLOSING_MM = 8.0
"""Fissures and cisterns narrower than twice this count as brain to skull stripping."""

_STRIPPED_MM = 10.0
"""Farther than this from the brain nothing is left by any skull stripping."""


@dataclass(frozen=True)
class HeadFolder:
    """A folder of label maps of heads.

    Parameters
    ----------
    paths : tuple of pathlib.Path
        The label maps, sorted.
    """

    paths: tuple[Path, ...]

    def draw(self, rng: np.random.Generator, spacing: float) -> Anatomy:
        """Return one of the heads at a voxel size in mm."""
        return load_head(self.paths[rng.integers(len(self.paths))], spacing)


def find_heads(folder: Path) -> HeadFolder:
    """Find the label maps of a folder.

    Raises
    ------
    InputError
        If there is none, or a file is not a label map of a head. All such files are named.
    """
    paths = (
        sorted(path for path in folder.glob("*") if image_suffix(path)) if folder.is_dir() else []
    )
    if not paths:
        raise InputError(f"{folder}: holds no label maps; point to a folder of NIfTI label maps.")
    wrong = [path.name for path in paths if not _is_head(path)]
    if wrong:
        raise InputError(
            f"{folder}: not label maps of heads with FreeSurfer's values: {', '.join(wrong)} "
            f"({', '.join(map(str, _NEEDED))} at 1 mm are needed); take them out of the folder."
        )
    return HeadFolder(tuple(paths))


@lru_cache(maxsize=24)
def load_head(path: Path, spacing: float) -> Anatomy:
    """Return the anatomy of a label map at a voxel size in mm, axes as `atlas` has them.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    labels = _cropped(_read(path))

    def share(values: tuple[int, ...]) -> np.ndarray:
        return np.clip(resample_atlas(np.isin(labels, values).astype(np.float32), spacing), 0, 1)

    tissue = share(_TISSUE) > 0.5
    inside = share(_INTRACRANIAL) > 0.5
    around = Surroundings.of(
        {name: share(values) > 0.5 for name, values in _SIDES.items()}, inside, spacing
    )
    structures = dural_structures(around) | {
        "deep": share(DEEP),
        "plexus": share(PLEXUS),
        "lesion": share(LESIONS),
    }
    vessels = np.maximum(structures["sinus"], share(VESSELS) * inside)
    structures["sinus"] = vessels
    structures["pituitary"] = _pituitary(share((85,)) > 0.5, inside, spacing)
    white, grey = share((*WHITE, *LESIONS)), share((*GREY, *DEEP))
    total = np.maximum(white + grey, 1.0)
    white, grey = white / total, grey / total
    fluid = np.clip(1 - white - grey, 0, 1)
    ventricles = share((*VENTRICLES, *PLEXUS))
    brain = _stripping_margin(tissue, inside, spacing)
    kept = {name: (values * inside).astype(np.float32) for name, values in structures.items()}
    return Anatomy(white, grey, fluid, ventricles, brain, kept)


_SIDES = {"left": LEFT, "right": RIGHT, "cerebellum": CEREBELLUM, "stem": STEM}


def _is_head(path: Path) -> bool:
    try:
        counts = np.bincount(np.clip(_read(path), 0, None).ravel(), minlength=max(_NEEDED) + 1)
    except InputError:
        return False
    return bool(counts[list(_NEEDED)].all())


def _read(path: Path) -> np.ndarray:
    """Read label values, (Z, Y, X) int16 in LPS at 1 mm."""
    import SimpleITK as sitk

    image = reorient(read_volume(path), "LPS")
    if not np.allclose(image.GetSpacing(), 1, atol=0.01):
        raise InputError(f"{path}: its voxels are not of 1 mm; resample it by nearest neighbours.")
    return np.asarray(sitk.GetArrayViewFromImage(image)).astype(np.int16)


def _cropped(labels: np.ndarray) -> np.ndarray:
    where = ndimage.find_objects(np.isin(labels, _TISSUE).astype(np.uint8))[0]
    return labels[tuple(slice(max(s.start - _PAD_MM, 0), s.stop + _PAD_MM) for s in where)]


def _stripping_margin(tissue: np.ndarray, inside: np.ndarray, spacing: float) -> np.ndarray:
    """Return 1 in the brain, falling to 0 outside of it: a threshold is a skull stripping."""
    near = ndimage.distance_transform_edt(~tissue) * spacing < _CLOSING_MM
    closed = ndimage.distance_transform_edt(near) * spacing > _CLOSING_MM
    away = ndimage.distance_transform_edt(~(closed | tissue)) * spacing
    return (np.clip(1 - away / _STRIPPED_MM, 0, 1) * inside).astype(np.float32)


def _pituitary(chiasm: np.ndarray, inside: np.ndarray, spacing: float) -> np.ndarray:
    """Return a ball of 9 mm below and a little before the optic chiasm."""
    if not chiasm.any():
        return np.zeros(chiasm.shape, np.float32)
    centre = np.argwhere(chiasm).mean(axis=0) + np.array((-9, -4, 0)) / spacing
    points = np.indices(chiasm.shape, np.float32) - centre[:, None, None, None]
    away = np.sqrt((points**2).sum(axis=0)) * spacing
    return (np.clip(5 - away, 0, 1) * inside).astype(np.float32)
