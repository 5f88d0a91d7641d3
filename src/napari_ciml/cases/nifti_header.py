"""The header of a NIfTI file, version 1 or 2, in either byte order.

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

# Name, then format and first byte in version 1, and in version 2.
_FIELDS = (
    ("length", ("i4", 0), ("i4", 0)),
    ("dim", ("8i2", 40), ("8i8", 16)),
    ("datatype", ("i2", 70), ("i2", 12)),
    ("bitpix", ("i2", 72), ("i2", 14)),
    ("pixdim", ("8f4", 76), ("8f8", 104)),
    ("vox_offset", ("f4", 108), ("i8", 168)),
    ("scl_slope", ("f4", 112), ("f8", 176)),
    ("xyzt_units", ("u1", 123), ("i4", 500)),
    ("qform_code", ("i2", 252), ("i4", 344)),
    ("sform_code", ("i2", 254), ("i4", 348)),
    ("quatern", ("6f4", 256), ("6f8", 352)),
    ("srow", ("12f4", 280), ("12f8", 400)),
    ("magic", ("V4", 344), ("V8", 4)),
)
_VERSIONS = ((348, b"n+1\0"), (540, b"n+2\0\r\n\x1a\n"))

_CODE_OF = {"quatern": "qform_code", "srow": "sform_code"}
"""A form counts where its code is above 0."""

_GEOMETRY = ("pixdim", "xyzt_units", "qform_code", "sform_code", "quatern", "srow")
"""Fields that say where voxels lie."""


def opened(path: Path) -> gzip.GzipFile | BufferedReader:
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
    with suppress(OSError, EOFError, zlib.error), opened(path) as file:
        start = file.read(_VERSIONS[-1][0])
    header = _parsed(start)
    if header is None:
        raise InputError(f"{path}: cannot be read, it is damaged or no image; get the file again.")
    axes = int(header["dim"][0])
    whole = 1 <= axes <= 7 and (header["dim"][1 : axes + 1] > 0).all()
    known = int(header["datatype"]) in DTYPES.keys() | _OTHER_TYPES
    if not whole or not known or not header["vox_offset"] >= 0:
        raise InputError(f"{path}: cannot be read, its header is damaged; get the file again.")
    spacing = header["pixdim"][1 : min(axes, 3) + 1]
    placed = [header[form] for form in ("quatern", "srow") if header[_CODE_OF[form]] > 0]
    if not np.isfinite(np.concatenate([spacing, *placed])).all() or not (spacing > 0).all():
        raise InputError(f"{path}: its voxel size or position is not a number; repair its header.")
    return header


def header_like(header: np.ndarray, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
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
    for version, (length, magic) in enumerate(_VERSIONS):
        for kind in (_record(version), _record(version).newbyteorder()):
            if len(start) >= length:
                header = np.frombuffer(start, kind, 1).reshape(())
                if header["length"] == length and header["magic"].tobytes() == magic:
                    return header
    return None


def _record(version: int) -> np.dtype:
    """Return one version's layout as the type of a NumPy record, in this machine's byte order."""
    places = [row[2] if version else row[1] for row in _FIELDS]
    return np.dtype(
        {
            "names": [row[0] for row in _FIELDS],
            "formats": [form for form, _ in places],
            "offsets": [first for _, first in places],
            "itemsize": _VERSIONS[version][0],
        }
    )
