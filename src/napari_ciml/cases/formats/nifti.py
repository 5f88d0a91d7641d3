"""Read and write NIfTI files where SimpleITK is not enough.

SimpleITK pads truncated files and turns NaN into 0 without an error, does not read NIfTI-2, and
rounds direction cosines to single precision twice when it writes, so that an oblique volume comes
back with other last digits than the file it was read from. Headers are parsed by nibabel; voxels
are read and written here.
"""

import gzip
import zlib
from contextlib import suppress
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import InputError

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

_HEADER_BYTES = {348: b"n+1", 540: b"n+2"}
"""Length of the header by version, and the magic of a file that holds header and voxels."""

_MAX_OFFSET = 2**40
_CHUNK = 2**24
_MAX_COMPRESSION_RATIO = 1100
"""Deflate cannot compress by more than this factor."""

_GEOMETRY_CODES = {
    "qform_code": ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    "sform_code": ("srow_x", "srow_y", "srow_z"),
}
"""Fields that hold the orientation; they are valid if the code is above 0."""

_GEOMETRY_FIELDS = (
    "pixdim",
    "xyzt_units",
    *_GEOMETRY_CODES,
    *(field for fields in _GEOMETRY_CODES.values() for field in fields),
)
_MM = {"meter": 1000.0, "micron": 0.001}
"""Spatial units other than mm."""

_RAS_TO_LPS = np.array((-1.0, -1.0, 1.0))


def read_nifti_header(path: Path) -> "Nifti1Header":
    """Read and validate the header of a NIfTI-1 or NIfTI-2 file in either byte order.

    Returns
    -------
    nibabel.nifti1.Nifti1Header
        ``Nifti2Header`` for version 2.

    Raises
    ------
    InputError
        If the file is no single-file NIfTI, its voxels are complex, or its dimensions, voxel type
        or geometry are invalid.
    """
    start = b""
    with suppress(OSError, EOFError, zlib.error), _open_maybe_gzip(path) as file:
        start = file.read(max(_HEADER_BYTES))
    header = _parse(start)
    if header is None:
        raise InputError(f"{path}: cannot be read, it is damaged or no image; get the file again.")
    axes, dtype = int(header["dim"][0]), _voxel_type(header)
    valid = 1 <= axes <= 7 and (header["dim"][1 : axes + 1] > 0).all()
    if not valid or dtype is None or not 0 <= header["vox_offset"] < _MAX_OFFSET:
        raise InputError(f"{path}: cannot be read, its header is damaged; get the file again.")
    if dtype.names is None and dtype.kind not in "iuf":
        raise InputError(f"{path}: its voxels are complex numbers; export the magnitude image.")
    spacing = header["pixdim"][1 : min(axes, 3) + 1]
    geometry = [
        np.ravel(header[field])
        for code, fields in _GEOMETRY_CODES.items()
        for field in fields
        if header[code] > 0
    ]
    if not np.isfinite(np.concatenate([spacing, *geometry])).all() or not (spacing > 0).all():
        raise InputError(f"{path}: its voxel size or position is not a number; repair its header.")
    return header


def is_nifti2(header: "Nifti1Header") -> bool:
    """Whether a header is of version 2."""
    return bool(header["sizeof_hdr"] == max(_HEADER_BYTES))


def nifti_grid(header: "Nifti1Header") -> tuple[Grid, int]:
    """Return the grid in LPS mm and the number of volumes a header describes.

    SimpleITK decides this for NIfTI-1, for every reader to see the same geometry; this is for
    NIfTI-2, with the precedence of the standard: sform, qform, voxel size alone.
    """
    shape = tuple(map(int, header.get_data_shape()))
    x, y, z = (*shape, 1, 1)[:3]
    affine = header.get_best_affine() * _MM.get(header.get_xyzt_units()[0], 1.0)
    dx, dy, dz = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    direction = _RAS_TO_LPS[:, None] * affine[:3, :3] / (dx, dy, dz)
    ox, oy, oz = (_RAS_TO_LPS * affine[:3, 3]).tolist()
    components = len(np.dtype(header.get_data_dtype()).names or (0,))
    grid = Grid((x, y, z), (dx, dy, dz), (ox, oy, oz), tuple(direction.ravel().tolist()))
    return grid, prod(shape[3:]) * components


def read_nifti_voxels(path: Path, channel: int = 0) -> np.ndarray:
    """Read one volume; slope and intercept of the header are applied.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii`` or ``.nii.gz``; whether it is compressed goes by its content.
    channel : int
        Index of the volume, or of the colour of RGB voxels.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) float32; voxels that are not finite stay so.

    Raises
    ------
    InputError
        If the file is truncated or its compression is damaged; or as `read_nifti_header`.
    """
    header = read_nifti_header(path)
    shape = (*map(int, header.get_data_shape()), 1, 1)[2::-1]
    dtype = np.dtype(header.get_data_dtype())
    offset = int(header["vox_offset"])
    if dtype.names is None:
        offset += channel * prod(shape) * dtype.itemsize
    try:
        stored = _read_array(path, shape, dtype, offset)
    except (OSError, EOFError, MemoryError, zlib.error) as error:
        raise _truncated(path) from error
    values = stored if dtype.names is None else stored[dtype.names[channel]]
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    with np.errstate(over="ignore", invalid="ignore"):
        array = values.astype(np.float32)
        if np.isfinite((slope, intercept)).all() and slope and (slope, intercept) != (1, 0):
            array *= np.float32(slope)
            array += np.float32(intercept)
    return array


def write_nifti_like(path: Path, array: np.ndarray, header: "Nifti1Header") -> None:
    """Write a volume with exactly the geometry fields of another NIfTI file.

    No other field is copied: descriptions and names in a header may identify the patient.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii`` or ``.nii.gz``.
    array : numpy.ndarray
        (Z, Y, X), integers or floats; its dtype is kept.
    header : nibabel.nifti1.Nifti1Header
        Of the other file, from `read_nifti_header`; its byte order is kept.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    new = type(header)(endianness=header.endianness)
    for name in _GEOMETRY_FIELDS:
        new[name] = header[name]
    new.set_data_dtype(array.dtype)
    new["dim"] = (3, *reversed(array.shape), 1, 1, 1, 1)
    # Four bytes after the header say that no extension follows.
    new["vox_offset"] = int(new["sizeof_hdr"]) + 4
    new["scl_slope"], new["scl_inter"] = 1, 0
    start = new.binaryblock + bytes(4)
    voxels = np.ascontiguousarray(array, array.dtype.newbyteorder(header.endianness))
    with path.open("wb") as raw:
        if path.name.lower().endswith(".gz"):
            # Neither a file name nor a time is stored, so that equal volumes give equal files.
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
                file.write(start)
                file.write(voxels.data)
        else:
            raw.write(start)
            raw.write(voxels.data)


def _open_maybe_gzip(path: Path) -> gzip.GzipFile | BufferedReader:
    """Open a file whether it is compressed or not, regardless of its name."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else path.open("rb")


def _parse(start: bytes) -> "Nifti1Header | None":
    """Return the header at the start of a file, unchecked; None if it is none."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    for endianness in "<>":
        length = int(np.frombuffer(start[:4].ljust(4, b"\0"), endianness + "i4")[0])
        if length in _HEADER_BYTES and len(start) >= length:
            kind = Nifti2Header if length == max(_HEADER_BYTES) else Nifti1Header
            header = kind(start[:length], endianness, check=False)
            return header if header["magic"].item() == _HEADER_BYTES[length] else None
    return None


def _voxel_type(header: "Nifti1Header") -> np.dtype | None:
    """Return the type of the voxels; None if its code is unknown or contradicts the bits."""
    from nibabel.spatialimages import HeaderDataError

    try:
        dtype = np.dtype(header.get_data_dtype())
    except (HeaderDataError, KeyError):
        return None
    return dtype if dtype.itemsize and header["bitpix"] == 8 * dtype.itemsize else None


def _read_array(path: Path, shape: tuple[int, ...], dtype: np.dtype, offset: int) -> np.ndarray:
    """Read an array from the decompressed content of a file, starting at an offset in bytes."""
    size = prod(shape) * dtype.itemsize
    with _open_maybe_gzip(path) as file:
        ratio = _MAX_COMPRESSION_RATIO if isinstance(file, gzip.GzipFile) else 1
        # A damaged header may describe more voxels than fit into memory.
        if offset + size > path.stat().st_size * ratio:
            raise EOFError
        file.seek(offset)
        content = bytearray(size)
        view = memoryview(content)
        for begin in range(0, size, _CHUNK):
            chunk = file.read(min(_CHUNK, size - begin))
            view[begin : begin + len(chunk)] = chunk
            if len(chunk) < min(_CHUNK, size - begin):
                raise EOFError
    return np.frombuffer(content, dtype).reshape(shape)


def _truncated(path: Path) -> InputError:
    return InputError(f"{path}: cannot be read, it ends too early; get the file again.")
