"""Volumes in files: NIfTI, NRRD, MetaImage, through SimpleITK."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.formats.metaimage import validate_header, validate_length
from napari_ciml.cases.formats.nifti import non_finite_voxels
from napari_ciml.cases.formats.nrrd import validate_nrrd_header
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.nifti_header import read_nifti_header
from napari_ciml.errors import InputError

if TYPE_CHECKING:
    import SimpleITK as sitk

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class Header:
    """What a volume file holds: the grid of one volume, and how many there are in it."""

    grid: Grid
    channels: int


def image_suffix(path: Path) -> str:
    """Return the file's image suffix (``.nii.gz`` whole), or an empty string."""
    name = path.name.lower()
    return next((s for s in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(s)), "")


def image_stem(path: Path) -> str:
    """Return the file's name without its image suffix."""
    return path.name[: len(path.name) - len(image_suffix(path))]


def is_nifti(path: Path) -> bool:
    """Whether a file's name says that it is NIfTI."""
    return image_suffix(path) in (".nii", ".nii.gz")


def read_header(path: Path) -> Header:
    """Read what a file holds, without its voxels.

    Raises
    ------
    InputError
        If it cannot be read, is not 3-D or 4-D, or has no usable geometry.
    """
    reader = _reader(path)
    if is_nifti(path):
        read_nifti_header(path)
    elif image_suffix(path) in (".mha", ".mhd"):
        validate_header(path)
    elif image_suffix(path) in (".nrrd", ".nhdr"):
        validate_nrrd_header(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path) from error
    dimension, size = reader.GetDimension(), reader.GetSize()
    if dimension not in (3, 4) or min(size) < 1 or (dimension == 3 and min(size) < 2):
        raise InputError(
            f"{path}: this is not a volume ({' x '.join(map(str, size))}); leave it out."
        )
    spacing, origin = reader.GetSpacing()[:3], reader.GetOrigin()[:3]
    direction = tuple(
        np.reshape(reader.GetDirection(), (dimension, dimension))[:3, :3].ravel().tolist()
    )
    if not np.isfinite([*spacing, *origin, *direction]).all() or min(spacing) <= 0:
        raise InputError(f"{path}: its voxel size or position is not a number; repair its header.")
    if abs(np.linalg.det(np.reshape(direction, (3, 3)))) < 0.5:
        raise InputError(f"{path}: its axes are not at right angles; repair its header.")
    channels = size[3] if dimension == 4 else reader.GetNumberOfComponents()
    return Header(Grid(size[:3], spacing, origin, direction), channels)


def read_volume(path: Path, channel: int | None = None) -> "sitk.Image":
    """Read one volume as a 3-D float32 image.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    channel : int, optional
        Which volume of a 4-D file.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    import SimpleITK as sitk

    reader = _reader(path)
    if image_suffix(path) in (".mha", ".mhd"):
        validate_length(path)
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
    return _with_bad_voxels(image, path, channel or 0) if is_nifti(path) else image


def _with_bad_voxels(image: "sitk.Image", path: Path, channel: int) -> "sitk.Image":
    """Put back the NaN that the NIfTI reader has turned into 0."""
    import SimpleITK as sitk

    count = int(np.prod(image.GetSize()))
    bad = non_finite_voxels(path) - channel * count
    bad = bad[(bad >= 0) & (bad < count)]
    if not len(bad):
        return image
    array = sitk.GetArrayFromImage(image)
    array.ravel()[bad] = np.nan
    return Grid.of(image).to_sitk(array)


def _reader(path: Path) -> "sitk.ImageFileReader":
    import SimpleITK as sitk

    # Else the library prints its own lines of warning beside ours.
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    return reader


def _unreadable(path: Path) -> InputError:
    return InputError(f"{path}: cannot be read, it is damaged or no image; get the file again.")
