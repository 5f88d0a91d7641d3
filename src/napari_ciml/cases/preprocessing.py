"""From the case grid to the voxels a checkpoint works on, and back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid, bounding_box_grid, resample
from napari_ciml.cases.intensity import (
    Normalisation,
    background_value,
    foreground,
    normalise,
    requires_suv,
)
from napari_ciml.cases.units import require_suv
from napari_ciml.errors import InputError
from napari_ciml.parallel import map_in_threads
from napari_ciml.progress import ProgressMonitor

_HALFWAY = 1e-6
"""Where a voxel lies between two, the first takes it, whatever rounding has done to it."""


@dataclass(frozen=True)
class PreprocessedCase:
    """What a network sees.

    Parameters
    ----------
    images : mapping of str to numpy.ndarray
        By modality, normalised, (z, y, x) float32 on ``grid``.
    foreground : numpy.ndarray
        Where any modality has foreground, (z, y, x) bool.
    grid : Grid
        A crop of the case at the checkpoint's voxel size, axes those of the case grid.
    """

    images: Mapping[str, np.ndarray]
    foreground: np.ndarray
    grid: Grid


def preprocess(
    case: Case,
    modalities: Sequence[str],
    spacing: tuple[float, float, float],
    normalisation: Mapping[str, Normalisation],
    monitor: ProgressMonitor,
    located: Callable[[Grid], None] | None = None,
) -> PreprocessedCase:
    """Crop to the foreground, resample, normalise.

    The crop holds the foreground of every modality asked for. Each one is resampled and then
    normalised over its own foreground, outside of which z-scored voxels are 0. Training and
    inference call this same function.

    Parameters
    ----------
    case : Case
        Has all of ``modalities``.
    modalities : sequence of str
        Which ones.
    spacing : tuple of float
        Voxel size, (Z, Y, X) in mm.
    normalisation : mapping of str to str
        By modality.
    monitor : Monitor
        Told at each modality.
    located : callable, optional
        Called with the grid, before anything is resampled onto it.

    Raises
    ------
    InputError
        If nothing of a modality is left at this voxel size, or a PET is not in SUV.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    for name in modalities:
        if requires_suv(normalisation[name]):
            require_suv(name, case.units, case.sources)
    looked = map_in_threads(
        lambda name: foreground(case.network_view(name)),
        modalities,
        monitor,
        "Finding the foreground of",
    )
    masks = dict(zip(modalities, looked, strict=True))
    grid = bounding_box_grid(np.logical_or.reduce(looked), case.grid, spacing)
    if located is not None:
        located(grid)

    def resampled(name: str) -> tuple[np.ndarray, np.ndarray]:
        image = case.network_view(name)
        value = background_value(image)
        fill = float(image.min()) if value is None else value
        mask = resample(masks[name].astype(np.float32), case.grid, grid) > 0.5
        if not mask.any():
            raise InputError(f"{name}: shows no object larger than a voxel; choose another image.")
        seen = resample(image, case.grid, grid, fill=fill)
        return normalise(seen, mask, normalisation[name]), mask

    found = map_in_threads(resampled, modalities, monitor, "Resampling")
    images = {name: image for name, (image, _) in zip(modalities, found, strict=True)}
    inside = np.logical_or.reduce([mask for _, mask in found])
    return PreprocessedCase(images, inside, grid)


def to_case_grid(array: np.ndarray, grid: Grid, case: Case, fill: float = 0.0) -> np.ndarray:
    """Bring a result from a model's grid onto the case grid, linearly: (Z, Y, X) float32."""
    return resample(array, grid, case.grid, fill=fill)


def labels_to_model_space(labels: np.ndarray, grid: Grid, case: Case) -> np.ndarray:
    """Bring a label map from the case grid onto a model's grid, by the nearest voxel."""
    return resample(labels, case.grid, grid, labels=True)


def voxels_to_model_space(mask: np.ndarray, grid: Grid, case: Case) -> np.ndarray:
    """Return the voxels of a model's grid that hold a voxel of a mask on the case grid.

    Unlike the nearest voxel of each, this loses no single voxel on a coarser grid.

    Parameters
    ----------
    mask : numpy.ndarray
        (Z, Y, X) bool on the case grid.
    grid : Grid
        Of the model.
    case : Case
        Whose grid the mask is on.

    Returns
    -------
    numpy.ndarray
        (z, y, x) bool.
    """
    found = np.zeros(grid.shape, bool)
    where = np.argwhere(mask)[:, ::-1] * case.grid.spacing
    world = where @ np.reshape(case.grid.direction, (3, 3)).T + case.grid.origin
    turned = (world - np.asarray(grid.origin)) @ np.linalg.inv(np.reshape(grid.direction, (3, 3))).T
    index = np.rint(turned / grid.spacing - _HALFWAY).astype(int)
    inside = ((index >= 0) & (index < grid.size)).all(axis=1)
    x, y, z = index[inside].T
    found[z, y, x] = True
    return found
