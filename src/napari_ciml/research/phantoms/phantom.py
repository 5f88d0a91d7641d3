"""One phantom of either kind, from a seed."""

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
    """A case nobody has.

    Parameters
    ----------
    kind : str
        ``glioma`` or ``petct``.
    images : dict of str to numpy.ndarray
        By modality, (Z, Y, X) float32.
    labels : numpy.ndarray
        The reference, (Z, Y, X) uint8: BraTS 2020's values, or 1 for a lesion.
    grid : Grid
        Of all of them.
    """

    kind: str
    images: dict[str, np.ndarray]
    labels: np.ndarray
    grid: Grid


def make_phantom(
    kind: str,
    seed: int,
    spacing: float = 2.0,
    carried: ExclusiveModality | None = None,
    protocol: str = "usual",
    heads: HeadFolder | None = None,
) -> Phantom:
    """Make a phantom; the same seed gives the same one.

    Parameters
    ----------
    kind : {"glioma", "petct"}
        What it shows.
    seed : int
        Of everything random.
    spacing : float
        Voxel size in mm.
    carried : Carried, optional
        Let only one modality of a glioma show a region's border.
    protocol : str
        One of `PROTOCOLS`: what was scanned of a glioma.
    heads : HeadFolder, optional
        Label maps, one of which is a glioma's anatomy; by default it is the atlas.

    Raises
    ------
    InputError
        If the kind is unknown, or nilearn is missing for a glioma.
    """
    if kind not in KINDS:
        raise InputError(f"There is no phantom of kind '{kind}'; known are {', '.join(KINDS)}.")
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    images, labels = (
        glioma.make(rng, spacing, carried, protocol, heads)
        if kind == "glioma"
        else petct.make(rng, spacing)
    )
    x, y, z = (-0.5 * (edge - 1) * spacing for edge in labels.shape[::-1])
    grid = Grid(labels.shape[::-1], (spacing,) * 3, (x, y, z))
    return Phantom(kind, images, labels, grid)
