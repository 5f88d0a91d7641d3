"""Content-addressed volumes of a saved session: the file name contains a hash of the voxels."""

import hashlib
from pathlib import Path

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import InputError
from napari_ciml.files import atomic_write
from napari_ciml.session.storage.schema import SavedVolume


def digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array: dtype, shape and voxels."""
    sha256 = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    sha256.update(np.ascontiguousarray(array).data)
    return sha256.hexdigest()


def write_content_addressed(folder: Path, name: str, array: np.ndarray, grid: Grid) -> SavedVolume:
    """Write a volume, (Z, Y, X), unless its file exists.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    import SimpleITK as sitk

    sha256 = digest(array)
    path = folder / f"{name}-{sha256[:12]}.nii.gz"
    if not path.exists():
        with atomic_write(path) as temporary:
            try:
                sitk.WriteImage(
                    grid.to_sitk(array), str(temporary), useCompression=True, compressionLevel=1
                )
            except RuntimeError as error:
                raise InputError(f"{path}: cannot be written; choose another folder.") from error
    return SavedVolume(file=path.name, sha256=sha256)


def read_verified(folder: Path, saved: SavedVolume) -> np.ndarray:
    """Read a volume, (Z, Y, X), and verify its hash.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    import SimpleITK as sitk

    path = folder / saved.file
    if not path.is_file():
        raise InputError(f"{path}: is missing from the saved session; put it back.")
    try:
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise InputError(f"{path}: is damaged; the saved session cannot be opened.") from error
    if digest(array) != saved.sha256:
        raise InputError(f"{path}: is not what was saved; put the old file back.")
    return array
