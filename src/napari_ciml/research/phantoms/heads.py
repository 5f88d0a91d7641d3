"""Phantom anatomies from label maps of whole heads with FreeSurfer's label values.

Written for the training label maps published with SynthSeg (Billot et al. 2023). They are read
from a folder given by the user; none is part of this package.
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
"""Choroid plexus; 136, 137, 163 and 164: in the body, atrium and temporal horns."""

LESIONS = (25, 57)
"""Periventricular white matter that is hypointense in T1."""

VESSELS = (30, 62, 514)
"""30 and 62: arteries at the skull base; 514: veins of the neck and parts of the sinuses."""

DEEP = (10, 11, 12, 13, 16, 17, 18, 26, 28, 49, 50, 51, 52, 53, 54, 58, 60)
FLUID, CHIASM = (24,), (72, 85)

_TISSUE = (*WHITE, *GREY, *DEEP, *VENTRICLES, *PLEXUS, *LESIONS)
_INTRACRANIAL = (*_TISSUE, *FLUID, *VESSELS, *CHIASM)

_NEEDED = (2, 3, 8, 16, 24, 41, 42, 47)
"""Labels that a label map of a head must contain."""

_PAD_MM = 12
"""Margin around the brain to which a label map is cropped."""

_CLOSING_MM = 8.0
"""Radius of the closing: fissures and cisterns narrower than twice this count as brain."""

_STRIPPED_MM = 10.0
"""Distance from the brain beyond which every skull stripping removes everything."""


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
        """Return a random head, resampled to a voxel size in mm."""
        return load_head(self.paths[rng.integers(len(self.paths))], spacing)


def find_heads(folder: Path) -> HeadFolder:
    """Find the label maps of heads in a folder.

    Raises
    ------
    InputError
        If there is none, or a file is not a label map of a head; the message names all such
        files.
    """
    paths = (
        sorted(path for path in folder.glob("*") if image_suffix(path)) if folder.is_dir() else []
    )
    if not paths:
        raise InputError(f"{folder}: contains no label maps; choose a folder of NIfTI label maps.")
    invalid = [path.name for path in paths if not _is_head(path)]
    if invalid:
        raise InputError(
            f"{folder}: not label maps of heads with FreeSurfer's label values: "
            f"{', '.join(invalid)} ({', '.join(map(str, _NEEDED))} at 1 mm are required); "
            "remove these files from the folder."
        )
    return HeadFolder(tuple(paths))


@lru_cache(maxsize=24)
def load_head(path: Path, spacing: float) -> Anatomy:
    """Return the anatomy of a label map at a voxel size in mm, in the axis order of `atlas`.

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
    surroundings = Surroundings.of(
        {name: share(values) > 0.5 for name, values in _SIDES.items()}, inside, spacing
    )
    structures = dural_structures(surroundings) | {
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
    masked = {name: (values * inside).astype(np.float32) for name, values in structures.items()}
    return Anatomy(white, grey, fluid, ventricles, brain, masked)


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
        raise InputError(
            f"{path}: the voxel size is not 1 mm; resample it with nearest-neighbour interpolation."
        )
    return np.asarray(sitk.GetArrayViewFromImage(image)).astype(np.int16)


def _cropped(labels: np.ndarray) -> np.ndarray:
    box = ndimage.find_objects(np.isin(labels, _TISSUE).astype(np.uint8))[0]
    return labels[tuple(slice(max(s.start - _PAD_MM, 0), s.stop + _PAD_MM) for s in box)]


def _stripping_margin(tissue: np.ndarray, inside: np.ndarray, spacing: float) -> np.ndarray:
    """Return a map of 1 in the brain falling to 0 outside; each threshold is a brain mask."""
    near = ndimage.distance_transform_edt(~tissue) * spacing < _CLOSING_MM
    closed = ndimage.distance_transform_edt(near) * spacing > _CLOSING_MM
    distance = ndimage.distance_transform_edt(~(closed | tissue)) * spacing
    return (np.clip(1 - distance / _STRIPPED_MM, 0, 1) * inside).astype(np.float32)


def _pituitary(chiasm: np.ndarray, inside: np.ndarray, spacing: float) -> np.ndarray:
    """Return a ball of 9 mm diameter below and anterior to the optic chiasm."""
    if not chiasm.any():
        return np.zeros(chiasm.shape, np.float32)
    centre = np.argwhere(chiasm).mean(axis=0) + np.array((-9, -4, 0)) / spacing
    points = np.indices(chiasm.shape, np.float32) - centre[:, None, None, None]
    distance = np.sqrt((points**2).sum(axis=0)) * spacing
    return (np.clip(5 - distance, 0, 1) * inside).astype(np.float32)
