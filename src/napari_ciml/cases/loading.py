"""The voxels of one modality, mended where a few are not a number."""

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

_MENDABLE = 1e-3
"""Largest share of an object's voxels that may be no number."""


def load_volume(
    modality: str, source: VolumeSource, notices: list[str], monitor: ProgressMonitor
) -> tuple[np.ndarray, Grid]:
    """Read a volume, in the orientation closest to LPS, with every voxel a number.

    Parameters
    ----------
    modality : str
        For what is said.
    source : Source
        Where it is.
    notices : list of str
        What was mended is added.
    monitor : Monitor
        Told at each plane of DICOM.

    Returns
    -------
    numpy.ndarray, Grid
        (Z, Y, X) float32, finite, and where it lies.

    Raises
    ------
    InputError
        If it cannot be read, is constant, or too much of it is not a number.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    import SimpleITK as sitk

    image = reorient(_stored(source, monitor), "LPS")
    array, grid = sitk.GetArrayFromImage(image), Grid.of(image)
    del image
    bad = ~np.isfinite(array)
    some = bool(bad.any())
    if bad.all() or np.ptp(array[~bad] if some else array) == 0:
        raise InputError(
            f"{_place(source)}: every voxel is the same or not a number; get it again."
        )
    if some:
        _mend(array, bad, _place(source))
        count = int(np.count_nonzero(bad))
        said = "1 voxel was" if count == 1 else f"{count} voxels were"
        notices.append(f"{modality}: {said} not a number (NaN or infinite); background now.")
    return array, grid


def _stored(source: VolumeSource, monitor: ProgressMonitor) -> "sitk.Image":
    if source.stack is None:
        return read_volume(source.path, source.channel)
    return read_stack(source.stack, monitor)


def _place(source: VolumeSource) -> str:
    """Return what an error names: a file by its path, a series by its title."""
    return str(source.path) if source.stack is None else source.title


def _mend(array: np.ndarray, bad: np.ndarray, place: str) -> None:
    """Turn voxels that are not a number into background, in place, unless they are too many.

    What reaches the border is background anyway, however much it is.
    """
    from scipy import ndimage

    array[bad] = array[~bad].min()
    value = background_value(array)
    array[bad] = array.min() if value is None else value
    parts, _ = ndimage.label(bad)
    faces = [np.take(parts, end, axis).ravel() for axis in range(3) for end in (0, -1)]
    inner = int(np.count_nonzero(bad & ~np.isin(parts, np.unique(np.concatenate(faces)))))
    if inner > _MENDABLE * np.count_nonzero(array != value):
        raise InputError(
            f"{place}: {inner} voxels inside the object are not a number (NaN or infinite), too "
            "many to mend; export the image again."
        )
