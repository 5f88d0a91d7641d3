"""Make a phantom of either kind from a seed."""

from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import InputError
from napari_ciml.research.phantoms import glioma, petct
from napari_ciml.research.phantoms.contrast import ExclusiveModality
from napari_ciml.research.phantoms.heads import HeadFolder

KINDS = ("glioma", "petct")


@dataclass(frozen=True)
class Phantom:
    """A synthetic case.

    Parameters
    ----------
    kind : str
        ``glioma`` or ``petct``.
    images : dict of str to numpy.ndarray
        Image by modality, (Z, Y, X) float32.
    labels : numpy.ndarray
        Reference label map, (Z, Y, X) uint8: values of BraTS 2020, or 1 for a lesion.
    grid : Grid
        Grid of images and label map.
    """

    kind: str
    images: dict[str, np.ndarray]
    labels: np.ndarray
    grid: Grid


def make_phantom(
    kind: str,
    seed: int,
    spacing: float = 2.0,
    exclusive: ExclusiveModality | None = None,
    protocol: str = "standard",
    heads: HeadFolder | None = None,
) -> Phantom:
    """Make a phantom, reproducibly.

    Parameters
    ----------
    kind : {"glioma", "petct"}
        Kind of phantom.
    seed : int
        Seed of everything random.
    spacing : float
        Voxel size in mm.
    exclusive : ExclusiveModality, optional
        Hide the border of a glioma's region in all modalities but one.
    protocol : str
        MR protocol of a glioma, one of `PROTOCOLS`.
    heads : HeadFolder, optional
        Label maps of heads, one of which is the anatomy of a glioma; the atlas by default.

    Raises
    ------
    InputError
        If the kind is unknown, or nilearn is missing for a glioma.
    """
    if kind not in KINDS:
        raise InputError(f"There is no phantom of kind '{kind}'; known are {', '.join(KINDS)}.")
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    images, labels = (
        glioma.make(rng, spacing, exclusive, protocol, heads)
        if kind == "glioma"
        else petct.make(rng, spacing)
    )
    x, y, z = (-0.5 * (edge - 1) * spacing for edge in labels.shape[::-1])
    grid = Grid(labels.shape[::-1], (spacing,) * 3, (x, y, z))
    return Phantom(kind, images, labels, grid)
