"""Validate MetaImage files, whose faults SimpleITK does not report as errors."""

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
"""Numeric fields: they have this power of the number of axes as elements."""

_WIDTHS = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4,
    "LONG_LONG": 8, "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
"""Bytes of each voxel type; the format defines a LONG as 4 bytes."""


def validate_header(path: Path) -> None:
    """Refuse a MetaImage with inconsistent header, over which SimpleITK would end the process.

    Raises
    ------
    InputError
        If the number of axes, voxels or channels is invalid.
    """
    with path.open("rb") as file:
        fields, _ = _fields(file.read(_HEADER_BYTES))
    try:
        axes = int(fields.get("NDims", "0"))
        size = [int(n) for n in fields.get("DimSize", "").split()]
        valid = axes in (2, 3, 4) and len(size) == axes and all(0 < n < 2**31 for n in size)
        valid &= 0 < int(fields.get("ElementNumberOfChannels", "1")) < _MOST_CHANNELS
        for name, power in _VECTORS.items():
            if name in fields:
                valid &= len([float(n) for n in fields[name].split()]) == axes**power
    except ValueError:
        valid = False
    if not valid:
        raise InputError(f"{path}: cannot be read, its header is damaged; get the file again.")


def validate_length(path: Path) -> None:
    """Refuse a truncated MetaImage.

    Parameters
    ----------
    path : pathlib.Path
        ``.mha`` or ``.mhd``.

    Raises
    ------
    InputError
        If the file of its voxels is missing or truncated.
    """
    with path.open("rb") as file:
        fields, length = _fields(file.read(_HEADER_BYTES))
    data = fields.get("ElementDataFile", "")
    if not data or data.startswith("LIST") or "%" in data:
        return
    is_local = data.upper() == "LOCAL"
    voxel_file = path if is_local else path.parent / data
    if not voxel_file.is_file():
        raise InputError(f"{path}: its voxels are in {data}, which is not there; add that file.")
    if voxel_file.stat().st_size - length * is_local < _expected_bytes(fields):
        raise InputError(f"{path}: cannot be read, it ends too early; get the file again.")


def _fields(start: bytes) -> tuple[dict[str, str], int]:
    """Return the fields of the header, and its length in bytes."""
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
    """Return the minimum number of bytes of the voxels; 0 if it is unknown."""
    try:
        if fields.get("CompressedData", "").lower() == "true":
            return int(fields.get("CompressedDataSize", "0"))
        width = _WIDTHS.get(fields.get("ElementType", "").removeprefix("MET_"), 0)
        size = [int(n) for n in fields.get("DimSize", "0").split()]
        return width * int(np.prod(size)) * int(fields.get("ElementNumberOfChannels", "1"))
    except ValueError:
        return 0
