"""Read volume files (NIfTI, NRRD, MetaImage) and their headers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.formats.metaimage import validate_header, validate_length
from napari_ciml.cases.formats.nifti import (
    is_nifti2,
    nifti_grid,
    read_nifti_header,
    read_nifti_voxels,
)
from napari_ciml.cases.formats.nrrd import validate_nrrd_header
from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import InputError

if TYPE_CHECKING:
    import SimpleITK as sitk

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")

_RIGHT_ANGLES = 0.5
"""Smallest determinant of the direction cosines."""


@dataclass(frozen=True)
class Header:
    """Content of a volume file.

    Parameters
    ----------
    grid : Grid
        Of each volume, as stored.
    channels : int
        Number of volumes.
    """

    grid: Grid
    channels: int


def image_suffix(path: Path) -> str:
    """Return the image suffix of a file name, such as ``.nii.gz``; empty if it has none."""
    name = path.name.lower()
    return next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(s)), "")


def image_stem(path: Path) -> str:
    """Return the file name without its image suffix."""
    return path.name[: len(path.name) - len(image_suffix(path))]


def is_nifti(path: Path) -> bool:
    """Whether a file has the suffix of NIfTI."""
    return image_suffix(path) in (".nii", ".nii.gz")


def read_header(path: Path) -> Header:
    """Read the geometry of a file and the number of its volumes, but no voxels.

    Raises
    ------
    InputError
        If the file cannot be read, is not 3-D or 4-D, or has no usable geometry.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    if is_nifti(path):
        nifti = read_nifti_header(path)
        if is_nifti2(nifti):
            return _checked(path, *nifti_grid(nifti))
    elif image_suffix(path) in (".mha", ".mhd"):
        validate_header(path)
    elif image_suffix(path) in (".nrrd", ".nhdr"):
        validate_nrrd_header(path)
    reader = _reader(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path) from error
    dimension, size = reader.GetDimension(), reader.GetSize()
    if dimension not in (3, 4):
        raise _no_volume(path, size)
    direction = np.reshape(reader.GetDirection(), (dimension, dimension))[:3, :3]
    channels = size[3] if dimension == 4 else reader.GetNumberOfComponents()
    grid = Grid(
        size[:3], reader.GetSpacing()[:3], reader.GetOrigin()[:3], tuple(direction.ravel().tolist())
    )
    return _checked(path, grid, channels)


def read_volume(path: Path, channel: int | None = None) -> "sitk.Image":
    """Read one volume as a 3-D float32 image.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    channel : int, optional
        Index of the volume in a 4-D file.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    if is_nifti(path):
        return read_header(path).grid.to_sitk(read_nifti_voxels(path, channel or 0))
    import SimpleITK as sitk

    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    if image_suffix(path) in (".mha", ".mhd"):
        validate_length(path)
    reader = _reader(path)
    image: sitk.Image
    try:
        if channel is not None:
            reader.ReadImageInformation()
            if reader.GetDimension() == 4:
                reader.SetExtractSize([*reader.GetSize()[:3], 0])
                reader.SetExtractIndex([0, 0, 0, channel])
        image = reader.Execute()
        if image.GetNumberOfComponentsPerPixel() > 1:
            image = sitk.VectorIndexSelectionCast(image, channel or 0)
        image = sitk.Cast(image, sitk.sitkFloat32)
    except RuntimeError as error:
        raise _unreadable(path) from error
    return image


def _checked(path: Path, grid: Grid, channels: int) -> Header:
    """Return the header of a file unless its geometry cannot be used."""
    if min(grid.size) < 1 or (channels == 1 and min(grid.size) < 2):
        raise _no_volume(path, grid.size)
    numbers = (*grid.spacing, *grid.origin, *grid.direction)
    if not np.isfinite(numbers).all() or min(grid.spacing) <= 0:
        raise InputError(f"{path}: its voxel size or position is not a number; repair its header.")
    if abs(np.linalg.det(np.reshape(grid.direction, (3, 3)))) < _RIGHT_ANGLES:
        raise InputError(f"{path}: its axes are not at right angles; repair its header.")
    return Header(grid, channels)


def _reader(path: Path) -> "sitk.ImageFileReader":
    import SimpleITK as sitk

    # The library would print its own warnings beside the error that is raised here.
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    return reader


def _unreadable(path: Path) -> InputError:
    return InputError(f"{path}: cannot be read, it is damaged or no image; get the file again.")


def _no_volume(path: Path, size: tuple[int, ...]) -> InputError:
    return InputError(f"{path}: this is not a volume ({' x '.join(map(str, size))}); leave it out.")
