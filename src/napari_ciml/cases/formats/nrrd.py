"""Validate the header of NRRD files before SimpleITK allocates the voxels it states."""

import math
import re
from pathlib import Path

from napari_ciml.errors import InputError

_HEADER_BYTES = 2**16
_MOST_VOXELS = 2**34
_MAX_AXIS = 2**16
"""Maximum number of voxels along an axis."""

_WIDTHS = {
    1: {"signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"},
    2: {
        "short", "short int", "signed short", "signed short int", "int16", "int16_t", "ushort",
        "unsigned short", "unsigned short int", "uint16", "uint16_t",
    },
    4: {
        "int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t",
        "float",
    },
    8: {
        "longlong", "long long", "long long int", "signed long long", "signed long long int",
        "int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int", "uint64",
        "uint64_t", "double",
    },
}  # fmt: skip
"""Voxel types by size in bytes."""

_MAX_COMPRESSION_RATIO = 1100
"""Deflate cannot compress by more than this factor."""

_NUMBER = re.compile(r"[^\s,()]+")


def validate_nrrd_header(path: Path) -> None:
    """Refuse an NRRD with an invalid header, or with more voxels than its file can hold.

    Parameters
    ----------
    path : pathlib.Path
        ``.nrrd`` or ``.nhdr``.

    Raises
    ------
    InputError
        If the header is invalid.
    """
    with path.open("rb") as file:
        fields = _fields(file.read(_HEADER_BYTES))
    try:
        valid = _is_valid(fields, path)
    except (ValueError, OverflowError):
        valid = False
    if not valid:
        raise InputError(f"{path}: cannot be read, its header is damaged; get the file again.")


def _is_valid(fields: dict[str, str], path: Path) -> bool:
    axes = int(fields.get("dimension", "0"))
    sizes = [int(n) for n in fields.get("sizes", "").split()]
    if axes not in range(1, 6) or len(sizes) != axes or not all(0 < n < _MAX_AXIS for n in sizes):
        return False
    width = next((n for n, names in _WIDTHS.items() if fields.get("type") in names), 0)
    voxels = math.prod(sizes)
    if not width or voxels > _MOST_VOXELS or not _has_valid_numbers(fields):
        return False
    if "data file" in fields or "datafile" in fields:
        return True
    raw = fields.get("encoding") == "raw"
    capacity = path.stat().st_size * (1 if raw else _MAX_COMPRESSION_RATIO)
    return voxels * width <= capacity or fields.get("encoding") in ("bzip2", "bz2")


def _has_valid_numbers(fields: dict[str, str]) -> bool:
    """Whether the geometry fields are numbers; ``none`` stands for a missing direction."""
    names = ("spacings", "space directions", "space origin", "axis mins", "axis maxs")
    words = [word for name in names for word in _NUMBER.findall(fields.get(name, ""))]
    for word in words:
        if word != "none":
            float(word)
    skipped = [fields.get(name, "0") for name in ("line skip", "lineskip")]
    skipped += [fields.get(name, "0") for name in ("byte skip", "byteskip")]
    return all(-1 <= int(word) < _MOST_VOXELS for word in skipped)


def _fields(start: bytes) -> dict[str, str]:
    """Return the fields of the header, which ends with an empty line."""
    fields: dict[str, str] = {}
    for line in start.split(b"\n"):
        text = line.decode("latin-1").strip()
        if not text:
            break
        key, colon, value = text.partition(":")
        if colon and not text.startswith("#") and not value.startswith("="):
            fields[key.strip().lower()] = value.strip()
    return fields
