"""What SimpleITK says about a MetaImage only in lines of its own: that voxels are missing."""

from pathlib import Path

import numpy as np

from napari_ciml.errors import InputError

_HEADER_BYTES = 2**16
_MOST_CHANNELS = 2**10
_VECTORS = {
    "Offset": 1, "Position": 1, "Origin": 1, "CenterOfRotation": 1, "ElementSpacing": 1,
    "ElementSize": 1, "TransformMatrix": 2, "Rotation": 2,
    "Orientation": 2,
}  # fmt: skip
"""Fields of numbers, and how many they are: this power of the number of axes."""

_WIDTHS = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
"""Bytes of each voxel type; the format fixes a LONG at four."""


def validate_header(path: Path) -> None:
    """Refuse a MetaImage whose header counts wrongly: SimpleITK would end the process over it.

    Raises
    ------
    InputError
        If a number of axes, voxels or channels makes no sense.
    """
    with path.open("rb") as file:
        fields, _ = _fields(file.read(_HEADER_BYTES))
    try:
        axes = int(fields.get("NDims", "0"))
        size = [int(n) for n in fields.get("DimSize", "").split()]
        sound = axes in (2, 3, 4) and len(size) == axes and all(0 < n < 2**31 for n in size)
        sound &= 0 < int(fields.get("ElementNumberOfChannels", "1")) < _MOST_CHANNELS
        for name, power in _VECTORS.items():
            if name in fields:
                sound &= len([float(n) for n in fields[name].split()]) == axes**power
    except ValueError:
        sound = False
    if not sound:
        raise InputError(f"{path}: cannot be read, its header is damaged; get the file again.")


def validate_length(path: Path) -> None:
    """Refuse a MetaImage whose voxels are not all there.

    Parameters
    ----------
    path : pathlib.Path
        ``.mha`` or ``.mhd``.

    Raises
    ------
    InputError
        If its voxels' file is not there, or ends too early.
    """
    with path.open("rb") as file:
        fields, length = _fields(file.read(_HEADER_BYTES))
    data = fields.get("ElementDataFile", "")
    if not data or data.startswith("LIST") or "%" in data:
        return
    here = data.upper() == "LOCAL"
    file_of_voxels = path if here else path.parent / data
    if not file_of_voxels.is_file():
        raise InputError(f"{path}: its voxels are in {data}, which is not there; add that file.")
    if file_of_voxels.stat().st_size - length * here < _expected_bytes(fields):
        raise InputError(f"{path}: cannot be read, it ends too early; get the file again.")


def _fields(start: bytes) -> tuple[dict[str, str], int]:
    """Return what the header says, and how many bytes it has."""
    fields: dict[str, str] = {}
    length = 0
    for line in start.split(b"\n"):
        length += len(line) + 1
        key, _, value = line.decode("latin-1").partition("=")
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            break
    return fields, length


def _expected_bytes(fields: dict[str, str]) -> int:
    """Return the least number of bytes its voxels take; 0 if the header does not say."""
    try:
        if fields.get("CompressedData", "").lower() == "true":
            return int(fields.get("CompressedDataSize", "0"))
        width = _WIDTHS.get(fields.get("ElementType", "").removeprefix("MET_"), 0)
        size = [int(n) for n in fields.get("DimSize", "0").split()]
        return width * int(np.prod(size)) * int(fields.get("ElementNumberOfChannels", "1"))
    except ValueError:
        return 0
