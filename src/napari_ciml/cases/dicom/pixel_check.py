"""Check that the pixel data of a DICOM file is complete, without reading it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

_PIXEL_DATA = 0x7FE00010
_FIRST_PIXEL_TAG = 0x7FE00000
"""First tag of the group of the pixel data, which may be integer or floating-point."""

_UNDEFINED_LENGTH = 0xFFFFFFFF
"""Undefined length, as of compressed (encapsulated) pixel data."""

_MAX_LENGTH_RATIO = 1.5
"""Largest ratio of actual to expected length; some scanners pad the pixel data."""


class StopAtPixelData:
    """Condition for pydicom to stop before the pixel data; records the stated length.

    Attributes
    ----------
    length : int or None
        Length of the pixel data in bytes; None if it was not reached, as where a preceding element
        states a wrong length.
    """

    def __init__(self) -> None:
        self.length: int | None = None

    def __call__(self, tag: Any, _: str | None, length: int) -> bool:
        """Return whether pydicom stops at an element, and record the length of the pixel data."""
        if tag == _PIXEL_DATA:
            self.length = length
        return bool(tag >= _FIRST_PIXEL_TAG)

    def fit(self, dataset: "Dataset") -> bool:
        """Return whether the length of the pixel data fits the size of the image, if it is one."""
        rows, columns = dataset.get("Rows"), dataset.get("Columns")
        if not rows or not columns:
            return True
        if self.length is None:
            return False
        count = int(rows) * int(columns) * int(dataset.get("NumberOfFrames") or 1)
        bits = int(dataset.get("BitsAllocated") or 0) * int(dataset.get("SamplesPerPixel") or 1)
        expected = count * bits / 8
        # A byte more is valid: pixel data is padded to an even length.
        longest = max(_MAX_LENGTH_RATIO * expected, expected + 1)
        return self.length == _UNDEFINED_LENGTH or expected <= self.length <= longest
