"""Voxels of NIfTI files, where SimpleITK's way with them is not enough.

Its reader fills what is missing and turns what is not a number into 0, both without a word. Its
writer turns direction cosines into single precision twice: an oblique volume comes back with
other last digits than the file it was read from.
"""

import gzip
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import numpy as np

from napari_ciml.cases.nifti_header import (
    DTYPES,
    copy_geometry_header,
    open_maybe_gzip,
    read_nifti_header,
)
from napari_ciml.errors import InputError

_CHUNK = 2**24


def non_finite_voxels(path: Path) -> np.ndarray:
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
    header = read_nifti_header(path)
    try:
        with open_maybe_gzip(path) as file:
            file.seek(int(header["vox_offset"]))
            return np.concatenate([np.empty(0, np.int64), *_scan(file, header, path)])
    except (OSError, EOFError, zlib.error) as error:
        raise _cut_short(path) from error


def write_nifti_like(path: Path, array: np.ndarray, header: np.ndarray) -> None:
    """Write a volume with the very geometry another NIfTI file has, to the last bit.

    Parameters
    ----------
    path : pathlib.Path
        ``.nii`` or ``.nii.gz``.
    array : numpy.ndarray
        (Z, Y, X), of whole or real numbers; its dtype is kept.
    header : numpy.ndarray
        Of the other file, from `read_nifti_header`; its byte order is kept.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    depth, height, width = array.shape
    new = copy_geometry_header(header, (depth, height, width), array.dtype)
    order = new.dtype["length"].byteorder
    voxels = np.ascontiguousarray(array, array.dtype.newbyteorder(order))
    with path.open("wb") as raw:
        if path.name.lower().endswith(".gz"):
            # Neither a name nor a time go into it: the same volume is the same file.
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
                file.write(new.tobytes() + bytes(4))
                file.write(voxels.data)
        else:
            raw.write(new.tobytes() + bytes(4))
            raw.write(voxels.data)


def _scan(
    file: gzip.GzipFile | BufferedReader, header: np.ndarray, path: Path
) -> Iterator[np.ndarray]:
    count = int(np.prod(header["dim"][1 : int(header["dim"][0]) + 1].astype(np.int64)))
    width = int(header["bitpix"]) // 8
    kind = DTYPES.get(int(header["datatype"]), "")
    dtype = np.dtype(kind).newbyteorder(header.dtype["length"].byteorder) if "f" in kind else None
    done = 0
    while done < count:
        wanted = min(_CHUNK, count - done)
        content = file.read(wanted * width)
        if len(content) < wanted * width:
            raise _cut_short(path)
        if dtype is not None:
            bad = np.flatnonzero(~np.isfinite(np.frombuffer(content, dtype)))
            if len(bad):
                yield bad + done
        done += wanted


def _cut_short(path: Path) -> InputError:
    return InputError(f"{path}: cannot be read, it ends too early; get the file again.")
