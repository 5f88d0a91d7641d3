"""Whether the voxels of a file are as many as it says; none is read for it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

_PIXEL_DATA = 0x7FE00010
_FIRST = 0x7FE00000
"""Elements from here on are voxels, of integers or of real numbers."""

_PACKED = 0xFFFFFFFF
"""The length of what is packed: not told."""

_PADDING = 1.5
"""Times the length that is needed, which some scanners do not quite keep to."""


class StopAtPixelData:
    """Tells pydicom to stop before the voxels, and keeps how long they say they are.

    Attributes
    ----------
    length : int or None
        In bytes; None if there are none, as where an element before them lies about its length.
    """

    def __init__(self) -> None:
        self.length: int | None = None

    def __call__(self, tag: Any, _: str | None, length: int) -> bool:
        """Return whether pydicom is to stop at an element."""
        if tag == _PIXEL_DATA:
            self.length = length
        return bool(tag >= _FIRST)

    def fit(self, dataset: "Dataset") -> bool:
        """Return whether the voxels of an image are there, and as many as it has."""
        rows, columns = dataset.get("Rows"), dataset.get("Columns")
        if not rows or not columns:
            return True
        if self.length is None:
            return False
        count = int(rows) * int(columns) * int(dataset.get("NumberOfFrames") or 1)
        bits = int(dataset.get("BitsAllocated") or 0) * int(dataset.get("SamplesPerPixel") or 1)
        needed = count * bits / 8
        return self.length == _PACKED or needed <= self.length <= max(_PADDING * needed, needed + 1)
