"""Write volumes and label maps to files on the native grid, and read label maps."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.formats.nifti import is_nifti2, read_nifti_header, write_nifti_like
from napari_ciml.cases.formats.volumes import is_nifti, read_header, read_volume
from napari_ciml.cases.geometry import Grid, lps, orientation, reorient, resample
from napari_ciml.cases.transform import AffineTransform
from napari_ciml.errors import InputError
from napari_ciml.files import atomic_write

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

MAX_LABEL = 65535


def write_on_native_grid(
    path: Path, array: np.ndarray, case: Case, modality: str | None = None
) -> None:
    """Write a volume on the native grid of a modality, by default of the reference.

    From NIfTI-1 to NIfTI the geometry fields are copied bit for bit.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii.gz``, ``.nrrd``, ``.mha`` or any other suffix in `SUFFIXES`.
    array : numpy.ndarray
        (Z, Y, X) on the case grid, or for another modality on the grid of
        `resample_to_modality`; its dtype is kept.
    case : Case
        Case with the grids.
    modality : str, optional
        Modality on whose native grid it is written.

    Raises
    ------
    InputError
        If the file cannot be written; an existing one is then left unchanged.
    """
    import SimpleITK as sitk

    modality = modality or case.reference
    native = _native(case, modality)
    grid = case.grid if modality == case.reference else lps(native)
    oriented = reorient(grid.to_sitk(array), orientation(native))
    # A view, for a map of a whole body has close to a gigabyte.
    values = sitk.GetArrayViewFromImage(oriented)
    header = _nifti_header(case, modality) if is_nifti(path) else None
    if header is None:
        write_volume(path, values, native)
        return
    with atomic_write(path) as temporary:
        write_nifti_like(temporary, values, header)


def resample_to_modality(array: np.ndarray, case: Case, modality: str) -> np.ndarray:
    """Resample a volume of floats, (Z, Y, X) on the case grid, to the native grid of a modality.

    The transform of the alignment is inverted. Axes are permuted and flipped to LPS.

    Raises
    ------
    InputError
        If the case has no such modality.
    """
    native = _native(case, modality)
    if modality == case.reference:
        return array
    inverse = case.transforms.get(modality, AffineTransform()).inverse()
    return resample(array, case.grid, lps(native), transform=inverse)


def write_volume(path: Path, array: np.ndarray, grid: Grid) -> None:
    """Write an array, (Z, Y, X), on a grid; errors as `write_on_native_grid`."""
    import SimpleITK as sitk

    with atomic_write(path) as temporary:
        try:
            sitk.WriteImage(grid.to_sitk(array), str(temporary), useCompression=True)
        except RuntimeError as error:
            raise InputError(f"{path}: cannot be written; choose another folder.") from error


def read_label_map(path: Path, case: Case) -> np.ndarray:
    """Read a label map and resample it to the case grid by nearest neighbour.

    Parameters
    ----------
    path : pathlib.Path
        A segmentation of the same examination.
    case : Case
        Case whose grid is used.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) uint16.

    Raises
    ------
    InputError
        If it cannot be read, holds values that are no labels, or does not overlap the case.
    """
    labels, grid = read_labels(path)
    if not grid.overlaps(case.grid):
        raise InputError(f"{path}: does not overlap the case; it belongs to another one.")
    return resample(labels, grid, case.grid, labels=True)


def read_labels(path: Path) -> tuple[np.ndarray, Grid]:
    """Read a label map in LPS orientation: (Z, Y, X) uint16, and its grid.

    Raises
    ------
    InputError
        If it cannot be read, or holds anything but integers from 0 to 65535.
    """
    import SimpleITK as sitk

    if read_header(path).channels != 1:
        raise InputError(f"{path}: holds several volumes; a label map is one.")
    image = reorient(read_volume(path), "LPS")
    values = sitk.GetArrayFromImage(image)
    is_integer = np.isfinite(values).all() and np.array_equal(values, np.rint(values))
    if not is_integer or values.min() < 0 or values.max() > MAX_LABEL:
        raise InputError(f"{path}: holds values that are no labels; choose a segmentation.")
    return values.astype(np.uint16), Grid.of(image)


def _native(case: Case, modality: str) -> Grid:
    if modality == case.reference:
        return case.native_grid
    if modality not in case.sources:
        available = ", ".join(case.images)
        raise InputError(f"{modality} is not in the case; choose one of {available}.")
    return case.sources[modality].grid


def _nifti_header(case: Case, modality: str) -> "Nifti1Header | None":
    """Return the NIfTI-1 header of a modality's file; None if it has none or has changed.

    Results for a NIfTI-2 file are written as NIfTI-1, which every program reads.
    """
    source = case.sources.get(modality)
    if source is None or not is_nifti(source.path):
        return None
    try:
        if read_header(source.path).grid != _native(case, modality):
            return None
        header = read_nifti_header(source.path)
    except InputError:
        return None
    return None if is_nifti2(header) else header
