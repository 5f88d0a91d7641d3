"""Read the voxels of a stack of DICOM planes with GDCM, through SimpleITK."""

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

_LEVEL_TOLERANCE = 0.05
"""Fraction of the level spacing by which a plane may deviate without interpolation."""

_PIXEL_ATTRIBUTES = (
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData",
)  # fmt: skip
_MULTIFRAME_WORD = "1.2.840.10008.5.1.4.1.1.7.3"
_MULTIFRAME_BYTE = "1.2.840.10008.5.1.4.1.1.7.2"
"""SOP classes of multi-frame grayscale secondary captures of 16 and of 8 bits."""


def read_stack(stack: Stack, monitor: ProgressMonitor) -> "sitk.Image":
    """Read a volume onto its grid as float32, with the rescaling of each plane.

    Parameters
    ----------
    stack : Stack
        Planes and grid of the volume.
    monitor : ProgressMonitor
        Notified after every few planes.

    Raises
    ------
    InputError
        If a file is damaged or its encoding is not supported.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    positions = stack.plane_positions()
    count = len(stack.planes)
    depth, height, width = stack.grid.shape
    volume = np.empty((count, height, width), np.float32)
    for k, (plane, position) in enumerate(zip(stack.planes, positions, strict=True)):
        if k % 16 == 0:
            monitor.step(f"Reading {stack.title}", k, count)
        voxels = _read_plane(plane, stack.title)
        volume[k] = (
            _shift_in_plane(voxels, position, (height, width)) if is_sheared(stack) else voxels
        )
    _read_frames.cache_clear()
    levels = positions[:, 2]
    if count != depth or np.abs(levels - np.arange(depth)).max() > _LEVEL_TOLERANCE:
        volume = _interpolate_levels(volume, levels, depth)
    if stack.factor != 1:
        volume *= np.float32(stack.factor)
    return stack.grid.to_sitk(volume)


def _read_plane(plane: Plane, title: str) -> np.ndarray:
    """Return the rescaled values of a plane, of shape (rows, columns)."""
    try:
        if plane.frame is None:
            values = _read_single_frame(plane.file)
        else:
            values = _read_frames(plane.file)[plane.frame] * plane.slope + plane.intercept
    except parse_errors() as error:
        raise _damaged_file_error(title) from error
    columns, rows = plane.size
    if values.shape != (rows, columns):
        raise _damaged_file_error(title)
    return values


def _read_single_frame(file: Path) -> np.ndarray:
    """Read a single-frame file; GDCM applies its slope and intercept."""
    import SimpleITK as sitk

    reader = _reader(file)
    reader.SetOutputPixelType(sitk.sitkFloat32)
    return np.squeeze(sitk.GetArrayFromImage(reader.Execute()))


@lru_cache(maxsize=1)
def _read_frames(file: Path) -> np.ndarray:
    """Return the stored values of all frames, of shape (frames, rows, columns).

    Each frame has its own slope, but GDCM supports one per file. GDCM therefore decodes a copy
    that has only the attributes needed for decoding.
    """
    import pydicom
    from pydicom import config

    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(file, specific_tags=list(_PIXEL_ATTRIBUTES))
        return _decode(dataset)


def _decode(dataset: "Dataset") -> np.ndarray:
    """Return the stored values of a multi-frame data set, of shape (frames, rows, columns)."""
    import SimpleITK as sitk
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import generate_uid

    minimal = Dataset()
    for keyword in _PIXEL_ATTRIBUTES:
        if keyword in dataset:
            minimal[keyword] = dataset[keyword]
    is_word = int(minimal.BitsAllocated) > 8
    minimal.SOPClassUID = _MULTIFRAME_WORD if is_word else _MULTIFRAME_BYTE
    minimal.SOPInstanceUID = generate_uid()
    minimal.file_meta = FileMetaDataset()
    minimal.file_meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "frames.dcm"
        minimal.save_as(copy, enforce_file_format=True)
        values = sitk.GetArrayFromImage(_reader(copy).Execute())
    return values.reshape(-1, *values.shape[-2:])


def _reader(file: Path) -> "sitk.ImageFileReader":
    """Return a GDCM reader of a file, without warnings on the console."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    return reader


def _shift_in_plane(voxels: np.ndarray, position: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Place a plane in a larger one, with linear interpolation at fractional positions.

    Parameters
    ----------
    voxels : numpy.ndarray
        Plane of shape (rows, columns).
    position : numpy.ndarray
        Position of its first voxel (x, y, z) in the larger plane, in voxels.
    shape : tuple of int
        Shape of the larger plane, (rows, columns).
    """
    from scipy import ndimage

    background = float(voxels.min())
    enlarged = np.full(shape, background, np.float32)
    column, row = (int(np.floor(part + 1e-3)) for part in position[:2])
    rows, columns = voxels.shape
    offset = (float(position[1]) - row, float(position[0]) - column)
    padded = np.pad(voxels.astype(np.float32), ((0, 1), (0, 1)), constant_values=background)
    shifted = ndimage.shift(padded, offset, order=1, cval=background)
    height, width = min(rows + 1, shape[0] - row), min(columns + 1, shape[1] - column)
    enlarged[row : row + height, column : column + width] = shifted[:height, :width]
    return enlarged


def _interpolate_levels(volume: np.ndarray, levels: np.ndarray, depth: int) -> np.ndarray:
    """Interpolate linearly between planes at integer levels.

    Parameters
    ----------
    volume : numpy.ndarray
        Planes of shape (planes, rows, columns).
    levels : numpy.ndarray
        Position of each plane along the z axis of the grid, in voxels, ascending.
    depth : int
        Number of levels of the grid.
    """
    result = np.empty((depth, *volume.shape[1:]), np.float32)
    for level in range(depth):
        above = int(np.clip(np.searchsorted(levels, level), 1, len(levels) - 1))
        fraction = (level - levels[above - 1]) / (levels[above] - levels[above - 1])
        fraction = float(np.clip(fraction, 0, 1))
        if abs(fraction - round(fraction)) < _LEVEL_TOLERANCE:
            fraction = round(fraction)
        result[level] = (1 - fraction) * volume[above - 1] + fraction * volume[above]
    return result


def _damaged_file_error(title: str) -> InputError:
    """Return the error for a series with a file that cannot be decoded."""
    return InputError(
        f"{title}: one of its files is damaged or in a form that is not read; get the series again."
    )
