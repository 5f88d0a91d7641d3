"""Geometry and attributes of one plane: a single-frame file or a frame of a multi-frame file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

Vector = tuple[float, float, float]

_PARALLEL = 2e-3
"""Largest difference between the direction cosines of planes of one volume."""


@dataclass(frozen=True)
class Plane:
    """Position of a plane in space, and the attributes that distinguish planes at one position.

    Parameters
    ----------
    file : pathlib.Path
        File that holds the pixel data.
    frame : int or None
        Index in a multi-frame file, from 0; None in a single-frame file.
    size : tuple of int
        Number of columns and of rows.
    position : tuple of float
        Centre of the first voxel, in mm in LPS coordinates.
    row, column : tuple of float
        Direction cosines (LPS) along which the column index and the row index increase.
    spacing : tuple of float
        Distance between columns and between rows, in mm.
    number : int
        InstanceNumber, or the number of the frame, from 1.
    kind : tuple of str
        Values of ImageType or FrameType.
    slope, intercept : float
        Rescaling from stored values to the unit of the series.
    echo, b_value : float or None
        Echo time in ms and b-value in s/mm2.
    temporal_position : str
        Time point in a dynamic series; empty if it is missing.
    acquisition_time : str
        Date and time of the acquisition, as DICOM writes them; empty if missing.
    """

    file: Path
    frame: int | None
    size: tuple[int, int]
    position: Vector
    row: Vector
    column: Vector
    spacing: tuple[float, float]
    number: int = 0
    kind: tuple[str, ...] = ()
    slope: float = 1.0
    intercept: float = 0.0
    echo: float | None = None
    b_value: float | None = None
    temporal_position: str = ""
    acquisition_time: str = ""

    @property
    def axes(self) -> np.ndarray:
        """Orthonormal x, y and z axes as rows of a 3 x 3 array; the z axis is the normal."""
        x = np.asarray(self.row) / np.linalg.norm(self.row)
        y = np.asarray(self.column) - x * np.dot(x, self.column)
        y = y / np.linalg.norm(y)
        return np.array([x, y, np.cross(x, y)])

    def is_compatible(self, other: "Plane") -> bool:
        """Whether both may belong to one volume: parallel, of one size, spacing, type and echo."""
        cosine_differences = (
            abs(a - b)
            for a, b in zip(self.row + self.column, other.row + other.column, strict=True)
        )
        spacing_differences = (abs(a - b) for a, b in zip(self.spacing, other.spacing, strict=True))
        return (
            self.size == other.size
            and self.kind == other.kind
            and _same_echo(self.echo, other.echo)
            and max(cosine_differences) < _PARALLEL
            and max(spacing_differences) < 1e-3 * self.spacing[0]
        )


def _same_echo(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < 0.05 * max(one, other, 1.0)
