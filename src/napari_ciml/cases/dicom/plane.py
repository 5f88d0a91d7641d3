"""One plane of voxels, be it a file of its own or a frame of a multi-frame file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

Vector = tuple[float, float, float]

_PARALLEL = 2e-3
"""Largest difference of direction cosines between planes of one volume."""


@dataclass(frozen=True)
class Plane:
    """Where a plane lies, and what tells it from others at the same place.

    Parameters
    ----------
    file : pathlib.Path
        Where its voxels are.
    frame : int or None
        Of a multi-frame file, from 0.
    size : tuple of int
        Columns and rows.
    position : tuple of float
        Centre of the first voxel, LPS in mm.
    row, column : tuple of float
        Direction in which the column index grows, and the row index.
    spacing : tuple of float
        Between columns and between rows, in mm.
    number : int
        The instance's, or the frame's.
    kind : tuple of str
        Its ImageType.
    slope, intercept : float
        From stored values to the series' unit.
    echo, b_value : float or None
        Echo time in ms, diffusion weighting in s/mm2.
    moment : str
        Of a series of time points.
    acquired : str
        Date and time, as DICOM writes them; empty if not told.
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
        """Orthonormal axes x, y, z, 3 x 3; the z axis is the normal."""
        x = np.asarray(self.row) / np.linalg.norm(self.row)
        y = np.asarray(self.column) - x * np.dot(x, self.column)
        y = y / np.linalg.norm(y)
        return np.array([x, y, np.cross(x, y)])

    def is_compatible(self, other: "Plane") -> bool:
        """Whether both may belong to one volume: parallel, of one shape and one kind."""
        turned = (
            abs(a - b)
            for a, b in zip(self.row + self.column, other.row + other.column, strict=True)
        )
        finer = (abs(a - b) for a, b in zip(self.spacing, other.spacing, strict=True))
        return (
            self.size == other.size
            and self.kind == other.kind
            and _same_echo(self.echo, other.echo)
            and max(turned) < _PARALLEL
            and max(finer) < 1e-3 * self.spacing[0]
        )


def _same_echo(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < 0.05 * max(one, other, 1.0)
