"""Label maps and volumes, to and from files."""

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
    """Write a volume exactly on the grid of a modality's file, by default the reference's.

    From NIfTI to NIfTI the geometry is the same bit for bit, for every reader.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii.gz``, ``.nrrd``, ``.mha`` or any other suffix that is read.
    array : numpy.ndarray
        (Z, Y, X) on the case grid, or on another modality's (see `resample_to_modality`); its dtype
        is kept.
    case : Case
        Knows the grids.
    modality : str, optional
        On whose file's voxels it is written.

    Raises
    ------
    InputError
        If the file cannot be written; an older one is then left as it was.
    """
    import SimpleITK as sitk

    modality = modality or case.reference
    native = _native(case, modality)
    grid = case.grid if modality == case.reference else lps(native)
    turned = reorient(grid.to_sitk(array), orientation(native))
    # No copy: a map of a whole body is most of a gigabyte.
    values = sitk.GetArrayViewFromImage(turned)
    header = _nifti_header(case, modality) if is_nifti(path) else None
    if header is None:
        write_volume(path, values, native)
        return
    with atomic_write(path) as temporary:
        write_nifti_like(temporary, values, header)


def resample_to_modality(array: np.ndarray, case: Case, modality: str) -> np.ndarray:
    """Sample a volume of real numbers, (Z, Y, X) on the case grid, where a modality's voxels lie.

    What alignment has moved is moved back. Axes are permuted and flipped to LPS.

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
        If it cannot be read, holds anything but whole numbers, or does not overlap the case.
    """
    labels, grid = read_labels(path)
    if not grid.overlaps(case.grid):
        raise InputError(f"{path}: does not overlap the case; it belongs to another one.")
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


def _native(case: Case, modality: str) -> Grid:
    if modality == case.reference:
        return case.native_grid
    if modality not in case.sources:
        have = ", ".join(case.images)
        raise InputError(f"{modality} is not in the case; results can lie on {have}.")
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
