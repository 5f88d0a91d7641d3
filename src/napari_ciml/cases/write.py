"""Label maps and volumes, to and from files."""

from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.formats import is_nifti, read_header, read_volume
from napari_ciml.cases.geometry import Grid, orientation, reorient, resample
from napari_ciml.cases.nifti import write_nifti_like
from napari_ciml.cases.nifti_header import read_nifti_header
from napari_ciml.errors import InputError
from napari_ciml.files import replacing

MAX_LABEL = 65535


def write_on_native_grid(path: Path, array: np.ndarray, case: Case) -> None:
    """Write a volume exactly on the grid of the reference modality's file.

    From NIfTI to NIfTI the geometry is the same bit for bit, for every reader.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii.gz``, ``.nrrd``, ``.mha`` or any other suffix that is read.
    array : numpy.ndarray
        (Z, Y, X) on the case grid; its dtype is kept.
    case : Case
        Knows both grids.

    Raises
    ------
    InputError
        If the file cannot be written; an older one is then left as it was.
    """
    import SimpleITK as sitk

    native = case.native
    turned = reorient(case.grid.image(array), orientation(native))
    values = sitk.GetArrayFromImage(turned)
    header = _nifti_header_of_reference(case) if is_nifti(path) else None
    if header is None:
        write_volume(path, values, native)
        return
    with replacing(path) as temporary:
        write_nifti_like(temporary, values, header)


def write_volume(path: Path, array: np.ndarray, grid: Grid) -> None:
    """Write an array, (Z, Y, X), on a grid; errors as `write_on_native_grid`."""
    import SimpleITK as sitk

    with replacing(path) as temporary:
        try:
            sitk.WriteImage(grid.image(array), str(temporary), useCompression=True)
        except RuntimeError as error:
            raise InputError(f"{path}: cannot be written; choose another folder.") from error


def read_label_map(path: Path, case: Case) -> np.ndarray:
    """Read a label map and bring it onto the case grid, by the nearest voxel.

    Parameters
    ----------
    path : pathlib.Path
        A segmentation of the same examination.
    case : Case
        Gives the grid.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) uint16.

    Raises
    ------
    InputError
        If it cannot be read, holds anything but whole numbers, or shares no space with the case.
    """
    labels, grid = read_labels(path)
    if not grid.overlaps(case.grid):
        raise InputError(f"{path}: shares no space with the case; it belongs to another one.")
    return resample(labels, grid, case.grid, labels=True)


def read_labels(path: Path) -> tuple[np.ndarray, Grid]:
    """Read a label map as it is, in LPS orientation: (Z, Y, X) uint16 and its grid.

    Raises
    ------
    InputError
        If it cannot be read, or holds anything but whole numbers from 0 to 65535.
    """
    import SimpleITK as sitk

    if read_header(path).channels != 1:
        raise InputError(f"{path}: holds several volumes; a label map is one.")
    image = reorient(read_volume(path), "LPS")
    values = sitk.GetArrayFromImage(image)
    whole = np.isfinite(values).all() and np.array_equal(values, np.rint(values))
    if not whole or values.min() < 0 or values.max() > MAX_LABEL:
        raise InputError(f"{path}: holds values that are no labels; choose a segmentation.")
    return values.astype(np.uint16), Grid.of(image)


def _nifti_header_of_reference(case: Case) -> np.ndarray | None:
    """Read the reference's header again; None if it is no NIfTI, gone, or another one by now."""
    source = case.sources.get(case.reference)
    if source is None or not is_nifti(source.path):
        return None
    try:
        unchanged = read_header(source.path).grid == case.native
        return read_nifti_header(source.path) if unchanged else None
    except InputError:
        return None
