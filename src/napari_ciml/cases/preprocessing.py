"""Preprocess a case for a network (crop, resample, normalise), and map results back."""

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

_TIE_BREAK = 1e-6
"""Subtracted before rounding, so that a position halfway between two voxels goes to the first."""


@dataclass(frozen=True)
class PreprocessedCase:
    """Input of a network.

    Parameters
    ----------
    images : mapping of str to numpy.ndarray
        By modality, normalised, (z, y, x) float32 on ``grid``.
    foreground : numpy.ndarray
        Union of the foregrounds of all modalities, (z, y, x) bool.
    grid : Grid
        Crop of the case at the voxel size of the checkpoint, with the axes of the case grid.
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
    """Crop to the foreground, resample, and normalise.

    The crop covers the foreground of every requested modality. Each one is resampled and then
    normalised over its own foreground, outside of which z-scored voxels are 0. Training and
    inference share this function.

    Parameters
    ----------
    case : Case
        Case with all of the modalities.
    modalities : sequence of str
        Modalities to preprocess.
    spacing : tuple of float
        Voxel size, (Z, Y, X) in mm.
    normalisation : mapping of str to Normalisation
        By modality.
    monitor : ProgressMonitor
        Notified at each modality.
    located : callable, optional
        Called with the grid before anything is resampled to it.

    Raises
    ------
    InputError
        If a modality has no foreground at this voxel size, or a PET is not in SUV.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    for name in modalities:
        if requires_suv(normalisation[name]):
            require_suv(name, case.units, case.sources)
    foregrounds = map_in_threads(
        lambda name: foreground(case.network_view(name)),
        modalities,
        monitor,
        "Finding the foreground of",
    )
    masks = dict(zip(modalities, foregrounds, strict=True))
    grid = bounding_box_grid(np.logical_or.reduce(foregrounds), case.grid, spacing)
    if located is not None:
        located(grid)

    def resample_modality(name: str) -> tuple[np.ndarray, np.ndarray]:
        image = case.network_view(name)
        background = background_value(image)
        fill = float(image.min()) if background is None else background
        mask = resample(masks[name].astype(np.float32), case.grid, grid) > 0.5
        if not mask.any():
            raise InputError(f"{name}: shows no object larger than a voxel; choose another image.")
        resampled = resample(image, case.grid, grid, fill=fill)
        return normalise(resampled, mask, normalisation[name]), mask

    results = map_in_threads(resample_modality, modalities, monitor, "Resampling")
    images = {name: image for name, (image, _) in zip(modalities, results, strict=True)}
    union = np.logical_or.reduce([mask for _, mask in results])
    return PreprocessedCase(images, union, grid)


def to_case_grid(array: np.ndarray, grid: Grid, case: Case, fill: float = 0.0) -> np.ndarray:
    """Resample a result from the model grid to the case grid, linearly: (Z, Y, X) float32."""
    return resample(array, grid, case.grid, fill=fill)


def labels_to_model_space(labels: np.ndarray, grid: Grid, case: Case) -> np.ndarray:
    """Resample a label map from the case grid to the model grid by nearest neighbour."""
    return resample(labels, case.grid, grid, labels=True)


def voxels_to_model_space(mask: np.ndarray, grid: Grid, case: Case) -> np.ndarray:
    """Return the voxels of the model grid that contain a voxel of a mask on the case grid.

    Unlike nearest-neighbour resampling, this loses no single voxel on a coarser grid.

    Parameters
    ----------
    mask : numpy.ndarray
        (Z, Y, X) bool on the case grid.
    grid : Grid
        The model grid.
    case : Case
        Case on whose grid the mask is.

    Returns
    -------
    numpy.ndarray
        (z, y, x) bool.
    """
    result = np.zeros(grid.shape, bool)
    offsets = np.argwhere(mask)[:, ::-1] * case.grid.spacing
    world = offsets @ np.reshape(case.grid.direction, (3, 3)).T + case.grid.origin
    rotated = (world - np.asarray(grid.origin)) @ np.linalg.inv(
        np.reshape(grid.direction, (3, 3))
    ).T
    index = np.rint(rotated / grid.spacing - _TIE_BREAK).astype(int)
    inside = ((index >= 0) & (index < grid.size)).all(axis=1)
    x, y, z = index[inside].T
    result[z, y, x] = True
    return result
