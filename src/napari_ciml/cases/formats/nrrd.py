"""The text header of an NRRD file, looked at before SimpleITK allocates what it claims."""

import math
import re
from pathlib import Path

from napari_ciml.errors import InputError

_HEADER_BYTES = 2**16
_MOST_VOXELS = 2**34
_LONGEST = 2**16
"""Voxels along one axis."""

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
"""Voxel types by their bytes."""

_PACKING = 1100
"""Deflate makes nothing smaller by more than this."""

_NUMBER = re.compile(r"[^\s,()]+")


def validate_nrrd_header(path: Path) -> None:
    """Refuse an NRRD whose header makes no sense, or claims more voxels than its file can hold.

    Parameters
    ----------
    path : pathlib.Path
        ``.nrrd`` or ``.nhdr``.

    Raises
    ------
    InputError
        If it does.
    """
    with path.open("rb") as file:
        fields = _fields(file.read(_HEADER_BYTES))
    try:
        sound = _sound(fields, path)
    except (ValueError, OverflowError):
        sound = False
    if not sound:
        raise InputError(f"{path}: cannot be read, its header is damaged; get the file again.")


def _sound(fields: dict[str, str], path: Path) -> bool:
    axes = int(fields.get("dimension", "0"))
    sizes = [int(n) for n in fields.get("sizes", "").split()]
    if axes not in range(1, 6) or len(sizes) != axes or not all(0 < n < _LONGEST for n in sizes):
        return False
    width = next((n for n, names in _WIDTHS.items() if fields.get("type") in names), 0)
    voxels = math.prod(sizes)
    if not width or voxels > _MOST_VOXELS or not _numbers(fields):
        return False
    if "data file" in fields or "datafile" in fields:
        return True
    raw = fields.get("encoding") == "raw"
    room = path.stat().st_size * (1 if raw else _PACKING)
    return voxels * width <= room or fields.get("encoding") in ("bzip2", "bz2")


def _numbers(fields: dict[str, str]) -> bool:
    """Whether what says where voxels lie is made of numbers; ``none`` stands for no direction."""
    names = ("spacings", "space directions", "space origin", "axis mins", "axis maxs")
    found = [word for name in names for word in _NUMBER.findall(fields.get(name, ""))]
    for word in found:
        if word != "none":
            float(word)
    skipped = [fields.get(name, "0") for name in ("line skip", "lineskip")]
    skipped += [fields.get(name, "0") for name in ("byte skip", "byteskip")]
    return all(-1 <= int(word) < _MOST_VOXELS for word in skipped)


def _fields(start: bytes) -> dict[str, str]:
    """Return what the header says, up to the empty line that ends it."""
    fields: dict[str, str] = {}
    for line in start.split(b"\n"):
        text = line.decode("latin-1").strip()
        if not text:
            break
        key, colon, value = text.partition(":")
        if colon and not text.startswith("#") and not value.startswith("="):
            fields[key.strip().lower()] = value.strip()
    return fields
