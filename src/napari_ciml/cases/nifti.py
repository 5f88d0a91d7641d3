"""What SimpleITK does not say about a NIfTI file: that it is cut short, or has voxels like NaN.

Its reader fills what is missing and turns what is not a number into 0, both without a word.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np

from napari_ciml.errors import InputError

_CHUNK = 2**24
_FLOATS = {16: "f4", 64: "f8"}


@dataclass(frozen=True)
class _Layout:
    """Where the voxels lie: first byte, number, bytes each, and their dtype if it is a float."""

    offset: int
    count: int
    width: int
    dtype: np.dtype | None


def bad_voxels(path: Path) -> np.ndarray:
    """Read a file through once; return where its voxels are not finite.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii`` or ``.nii.gz``.

    Returns
    -------
    numpy.ndarray
        Flat indices in C order of ((C,) Z, Y, X), int64; empty if all voxels are numbers.

    Raises
    ------
    InputError
        If the file ends before its last voxel, or its compression is damaged.
    """
    try:
        with _opened(path) as file:
            layout = _layout(file.read(544))
            if layout is None:
                return np.empty(0, np.int64)
            file.seek(layout.offset)
            return np.concatenate([np.empty(0, np.int64), *_scan(file, layout, path)])
    except (OSError, EOFError, zlib.error) as error:
        raise _cut_short(path) from error


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def _scan(
    file: gzip.GzipFile | BufferedReader, layout: _Layout, path: Path
) -> Iterator[np.ndarray]:
    done = 0
    while done < layout.count:
        wanted = min(_CHUNK, layout.count - done)
        content = file.read(wanted * layout.width)
        if len(content) < wanted * layout.width:
            raise _cut_short(path)
        if layout.dtype is not None:
            bad = np.flatnonzero(~np.isfinite(np.frombuffer(content, layout.dtype)))
            if len(bad):
                yield bad + done
        done += wanted


def _layout(header: bytes) -> _Layout | None:
    """Read a NIfTI-1 or NIfTI-2 header; None for what only looks like one."""
    for order in "<>":
        length = int(np.frombuffer(header, order + "i4", 1)[0]) if len(header) >= 348 else 0
        if length == 348:
            fields = ("i2", 40, 70, 72, "f4", 108)
        elif length == 540 and len(header) >= 540:
            fields = ("i8", 16, 12, 14, "i8", 168)
        else:
            continue
        dims = np.frombuffer(header, order + fields[0], 8, fields[1]).astype(np.int64)
        kind, bits = (int(np.frombuffer(header, order + "i2", 1, at)[0]) for at in fields[2:4])
        offset = int(np.frombuffer(header, order + fields[4], 1, fields[5])[0])
        count = int(np.prod(dims[1 : int(dims[0]) + 1]))
        dtype = np.dtype(order + _FLOATS[kind]) if kind in _FLOATS else None
        return _Layout(offset, count, bits // 8, dtype)
    return None


def _cut_short(path: Path) -> InputError:
    return InputError(f"{path}: cannot be read, it ends too early; get the file again.")
