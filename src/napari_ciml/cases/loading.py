"""Read the voxels of one modality and repair those that are not finite."""

from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.dicom.read import read_stack
from napari_ciml.cases.formats.volumes import read_volume
from napari_ciml.cases.geometry import Grid, reorient
from napari_ciml.cases.intensity import background_value
from napari_ciml.cases.source import VolumeSource
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor

if TYPE_CHECKING:
    import SimpleITK as sitk

_MAX_NON_FINITE = 1e-3
"""Largest fraction of the voxels of the object that may be non-finite."""


def load_volume(
    modality: str, source: VolumeSource, notices: list[str], monitor: ProgressMonitor
) -> tuple[np.ndarray, Grid]:
    """Read a volume in the orientation closest to LPS and repair non-finite voxels.

    Parameters
    ----------
    modality : str
        Name of the modality, for notices.
    source : VolumeSource
        Volume to read.
    notices : list of str
        Notices of repairs are appended.
    monitor : ProgressMonitor
        Notified while DICOM planes are read.

    Returns
    -------
    numpy.ndarray, Grid
        (Z, Y, X) float32, finite; and its grid.

    Raises
    ------
    InputError
        If it cannot be read, is constant, or too many voxels are not finite.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    import SimpleITK as sitk

    image = reorient(_read_stored(source, monitor), "LPS")
    array, grid = sitk.GetArrayFromImage(image), Grid.of(image)
    del image
    bad = ~np.isfinite(array)
    any_bad = bool(bad.any())
    if bad.all() or np.ptp(array[~bad] if any_bad else array) == 0:
        raise InputError(
            f"{_label(source)}: every voxel is the same or not a number; get it again."
        )
    if any_bad:
        _repair(array, bad, _label(source))
        count = int(np.count_nonzero(bad))
        voxels = "1 voxel was" if count == 1 else f"{count} voxels were"
        notices.append(
            f"{modality}: {voxels} not a number (NaN or infinite) and set to background."
        )
    return array, grid


def _read_stored(source: VolumeSource, monitor: ProgressMonitor) -> "sitk.Image":
    if source.stack is None:
        return read_volume(source.path, source.channel)
    return read_stack(source.stack, monitor)


def _label(source: VolumeSource) -> str:
    """Return the name of a source in errors: path of a file, or title of a series."""
    return str(source.path) if source.stack is None else source.title


def _repair(array: np.ndarray, bad: np.ndarray, label: str) -> None:
    """Set non-finite voxels to background, in place, unless there are too many.

    Components that touch the border are background anyway and do not count.
    """
    from scipy import ndimage

    array[bad] = array[~bad].min()
    background = background_value(array)
    array[bad] = array.min() if background is None else background
    parts, _ = ndimage.label(bad)
    faces = [np.take(parts, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    inner = int(np.count_nonzero(bad & ~np.isin(parts, np.unique(np.concatenate(faces)))))
    if inner > _MAX_NON_FINITE * np.count_nonzero(array != background):
        raise InputError(
            f"{label}: {inner} voxels inside the object are not a number (NaN or infinite), too "
            "many to repair; export the image again."
        )
