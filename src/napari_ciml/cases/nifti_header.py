"""The header of a NIfTI-1 file, in either byte order.

Only what SimpleITK passes over in silence, or loses when it writes, is read here.
"""

import gzip
import zlib
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

import numpy as np

from napari_ciml.errors import InputError

DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
"""Voxel types by their code in a NIfTI header."""

_OTHER_TYPES = {32, 128, 1536, 1792, 2048, 2304}
"""Codes of complex, coloured and very long numbers."""

_HEADER = np.dtype(
    {
        "names": [
            "length", "dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope",
            "xyzt_units", "qform_code", "sform_code", "quatern", "srow", "magic",
        ],
        "formats": [
            "i4", "8i2", "i2", "i2", "8f4", "f4", "f4", "u1", "i2", "i2", "6f4", "12f4", "V4",
        ],
        "offsets": [0, 40, 70, 72, 76, 108, 112, 123, 252, 254, 256, 280, 344],
        "itemsize": 348,
    }
)  # fmt: skip
_LARGEST_OFFSET = 2**40
_MAGIC = b"n+1\0"
_LENGTH_2 = 540
"""Of a header of version 2."""

_CODE_OF = {"quatern": "qform_code", "srow": "sform_code"}
"""A form counts where its code is above 0."""

_GEOMETRY = ("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern", "srow")
"""Fields that say where voxels lie."""


def open_maybe_gzip(path: Path) -> gzip.GzipFile | BufferedReader:
    """Open a file whether it is compressed or not, whatever its name says."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else path.open("rb")


def read_nifti_header(path: Path) -> np.ndarray:
    """Read a header.

    Returns
    -------
    numpy.ndarray
        One record with the fields of the format, in the file's own byte order.

    Raises
    ------
    InputError
        If the file has none, or no voxels, or does not say where they lie.
    """
    start = b""
    with suppress(OSError, EOFError, zlib.error), open_maybe_gzip(path) as file:
        start = file.read(_HEADER.itemsize)
    header = _parsed(start)
    if header is None or header["magic"].tobytes() != _MAGIC:
        if header is not None and header["length"] == _LENGTH_2:
            raise InputError(f"{path}: is NIfTI-2, which is not read; convert it to NIfTI-1.")
        raise InputError(f"{path}: cannot be read, it is damaged or no image; get the file again.")
    axes = int(header["dim"][0])
    whole = 1 <= axes <= 7 and (header["dim"][1 : axes + 1] > 0).all()
    known = int(header["datatype"]) in DTYPES.keys() | _OTHER_TYPES
    kind = DTYPES.get(int(header["datatype"]))
    bits = int(header["bitpix"])
    wide = bits == 8 * np.dtype(kind).itemsize if kind else bits > 0
    if not (whole and known and wide and 0 <= header["vox_offset"] < _LARGEST_OFFSET):
        raise InputError(f"{path}: cannot be read, its header is damaged; get the file again.")
    spacing = header["pixdim"][1 : min(axes, 3) + 1]
    placed = [header[form] for form in ("quatern", "srow") if header[_CODE_OF[form]] > 0]
    if not np.isfinite(np.concatenate([spacing, *placed])).all() or not (spacing > 0).all():
        raise InputError(f"{path}: its voxel size or position is not a number; repair its header.")
    return header


def copy_geometry_header(
    header: np.ndarray, shape: tuple[int, int, int], dtype: np.dtype
) -> np.ndarray:
    """Return the header of a volume of this shape, (Z, Y, X), that lies where another one lies.

    Nothing but geometry is taken over: descriptions and names in a header may tell of a patient.
    """
    new = np.zeros((), header.dtype)
    for name in ("length", "magic", *_GEOMETRY):
        new[name] = header[name]
    new["dim"] = (3, *reversed(shape), 1, 1, 1, 1)
    new["datatype"] = next(code for code, kind in DTYPES.items() if np.dtype(kind) == dtype)
    new["bitpix"] = 8 * dtype.itemsize
    # Four bytes after the header say that no extension follows.
    new["vox_offset"] = int(header["length"]) + 4
    new["scl_slope"] = 1
    return new


def _parsed(start: bytes) -> np.ndarray | None:
    """Return the header in the byte order in which its length makes sense, or None."""
    for kind in (_HEADER, _HEADER.newbyteorder()):
        if len(start) >= kind.itemsize:
            header = np.frombuffer(start, kind, 1).reshape(())
            if header["length"] in (kind.itemsize, _LENGTH_2):
                return header
    return None
