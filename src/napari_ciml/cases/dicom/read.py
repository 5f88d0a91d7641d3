"""Voxels of a stack, through SimpleITK's GDCM."""

import warnings
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.dicom.header import parse_errors
from napari_ciml.cases.dicom.plane import Plane
from napari_ciml.cases.dicom.volume import Stack, is_sheared
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor

if TYPE_CHECKING:
    import SimpleITK as sitk
    from pydicom import Dataset

_ON_LEVEL = 0.05
"""Of the distance between levels: planes nearer than this to theirs are taken as they are."""

_PIXELS = (
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData",
)  # fmt: skip
_MULTIFRAME_WORDS = "1.2.840.10008.5.1.4.1.1.7.3"
_MULTIFRAME_BYTES = "1.2.840.10008.5.1.4.1.1.7.2"


def read_stack(made: Stack, monitor: ProgressMonitor) -> "sitk.Image":
    """Read a volume onto its grid, float32, rescaled plane by plane.

    Raises
    ------
    InputError
        If a file is damaged or its voxels are in a form that is not read.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    places = made.plane_positions()
    count = len(made.planes)
    depth, height, width = made.grid.shape
    volume = np.empty((count, height, width), np.float32)
    for k, (plane, place) in enumerate(zip(made.planes, places, strict=True)):
        if k % 16 == 0:
            monitor.step(f"Reading {made.title}", k, count)
        voxels = _voxels(plane, made.title)
        volume[k] = _shifted(voxels, place, (height, width)) if is_sheared(made) else voxels
    _frames.cache_clear()
    levels = places[:, 2]
    if count != depth or np.abs(levels - np.arange(depth)).max() > _ON_LEVEL:
        volume = _levelled(volume, levels, depth)
    if made.factor != 1:
        volume *= np.float32(made.factor)
    return made.grid.to_sitk(volume)


def _voxels(plane: Plane, title: str) -> np.ndarray:
    """Return one plane's values, (rows, columns)."""
    try:
        if plane.frame is None:
            values = _single(plane.file)
        else:
            values = _frames(plane.file)[plane.frame] * plane.slope + plane.intercept
    except parse_errors() as error:
        raise _damaged(title) from error
    columns, rows = plane.size
    if values.shape != (rows, columns):
        raise _damaged(title)
    return values


def _single(file: Path) -> np.ndarray:
    """Read a file of one plane; slope and intercept are its own."""
    import SimpleITK as sitk

    reader = _reader(file)
    reader.SetOutputPixelType(sitk.sitkFloat32)
    return np.squeeze(sitk.GetArrayFromImage(reader.Execute()))


@lru_cache(maxsize=1)
def _frames(file: Path) -> np.ndarray:
    """Read all frames as stored, (n, rows, columns): each has a slope of its own.

    GDCM knows one slope for a file. It is given a copy that has none, nor any other tag that
    is not needed to decode.
    """
    import pydicom
    from pydicom import config

    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        whole = pydicom.dcmread(file, specific_tags=list(_PIXELS))
        return _decoded(whole)


def _decoded(whole: "Dataset") -> np.ndarray:
    import SimpleITK as sitk
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import generate_uid

    bare = Dataset()
    for keyword in _PIXELS:
        if keyword in whole:
            bare[keyword] = whole[keyword]
    wide = int(bare.BitsAllocated) > 8
    bare.SOPClassUID = _MULTIFRAME_WORDS if wide else _MULTIFRAME_BYTES
    bare.SOPInstanceUID = generate_uid()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = whole.file_meta.TransferSyntaxUID
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "frames.dcm"
        bare.save_as(copy, enforce_file_format=True)
        values = sitk.GetArrayFromImage(_reader(copy).Execute())
    return values.reshape(-1, *values.shape[-2:])


def _reader(file: Path) -> "sitk.ImageFileReader":
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    return reader


def _shifted(voxels: np.ndarray, place: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Place a plane in a larger one, at a corner (x, y) that need not be whole, linearly."""
    from scipy import ndimage

    low = float(voxels.min())
    wide = np.full(shape, low, np.float32)
    column, row = (int(np.floor(part + 1e-3)) for part in place[:2])
    rows, columns = voxels.shape
    rest = (float(place[1]) - row, float(place[0]) - column)
    padded = np.pad(voxels.astype(np.float32), ((0, 1), (0, 1)), constant_values=low)
    moved = ndimage.shift(padded, rest, order=1, cval=low)
    height, width = min(rows + 1, shape[0] - row), min(columns + 1, shape[1] - column)
    wide[row : row + height, column : column + width] = moved[:height, :width]
    return wide


def _levelled(volume: np.ndarray, levels: np.ndarray, depth: int) -> np.ndarray:
    """Interpolate between planes, linearly, at whole levels."""
    result = np.empty((depth, *volume.shape[1:]), np.float32)
    for level in range(depth):
        above = int(np.clip(np.searchsorted(levels, level), 1, len(levels) - 1))
        share = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
        share = float(np.clip(share, 0, 1))
        if abs(share - round(share)) < _ON_LEVEL:
            share = round(share)
        result[level] = (1 - share) * volume[above - 1] + share * volume[above]
    return result


def _damaged(title: str) -> InputError:
    return InputError(
        f"{title}: one of its files is damaged or in a form that is not read; get the series again."
    )
