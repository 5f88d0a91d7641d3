"""Which side of the patient is where on the screen, for any order of a grid's axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

_ALONG = ("L", "P", "S")
"""Where the axes of the LPS world point."""

_AGAINST = {"L": "R", "R": "L", "P": "A", "A": "P", "S": "I", "I": "S"}
_SIDES = {"L": "left", "R": "right", "P": "back", "A": "front", "S": "head", "I": "feet"}
_PLANES = {"S": "axial", "I": "axial", "P": "coronal", "A": "coronal"}
_FIRST = frozenset("SAR")
"""Shown at the top, or at the left, as radiologists have it."""


@dataclass(frozen=True)
class RadiologicalOrientation:
    """How a plane is shown.

    Parameters
    ----------
    depth : {"away", "towards"}
        Where the axis through the plane points on the screen.
    vertical : {"up", "down"}
        Where the axis of the rows points.
    horizontal : {"left", "right"}
        Where the axis of the columns points.
    left, right, top, bottom : str
        One of ``R L A P S I``: the side of the patient at that border.
    plane : str
        ``axial``, ``coronal`` or ``sagittal``.
    seen_from : str
        The side of the patient at which the viewer is, as a letter.
    """

    depth: Literal["away", "towards"]
    vertical: Literal["up", "down"]
    horizontal: Literal["left", "right"]
    left: str
    right: str
    top: str
    bottom: str
    plane: str
    seen_from: str

    def describe(self) -> str:
        """Return plane and side in words."""
        return f"{self.plane}, seen from the {_SIDES[self.seen_from]}"


def axis_letters(direction: Sequence[float]) -> tuple[str, str, str]:
    """Say where the axes of an array, (Z, Y, X), point: each the closest of ``R L A P S I``.

    Parameters
    ----------
    direction : sequence of float
        Direction cosines in LPS, as `napari_ciml.cases.geometry.Grid.direction`.
    """
    columns = np.reshape(direction, (3, 3)).T
    x, y, z = (_closest(column) for column in columns)
    return z, y, x


def radiological_orientation(
    direction: Sequence[float], order: Sequence[int] = (0, 1, 2)
) -> RadiologicalOrientation:
    """Say how a plane of a volume is to be shown: as radiologists do, and never mirrored in 3-D.

    The patient's head or front is at the top, the right side or front at the left.

    Parameters
    ----------
    direction : sequence of float
        Direction cosines in LPS of the volume's grid.
    order : sequence of int
        Axes of the array (Z, Y, X): through the plane, along its rows' stack, along a row.
    """
    letters = axis_letters(direction)
    through, down, across = order
    up = letters[down] in _FIRST
    leftwards = letters[across] in _FIRST
    axes = np.array([_unit(letters[axis]) for axis in (across, down, through)])
    # On the screen right, down and away are a right-handed triple, as left, back and head are.
    away = np.linalg.det(axes) * (-1 if up else 1) * (-1 if leftwards else 1) > 0
    left, right = _ends(letters[across], first=leftwards)
    top, bottom = _ends(letters[down], first=up)
    return RadiologicalOrientation(
        "away" if away else "towards",
        "up" if up else "down",
        "left" if leftwards else "right",
        left,
        right,
        top,
        bottom,
        _PLANES.get(letters[through], "sagittal"),
        _AGAINST[letters[through]] if away else letters[through],
    )


def _closest(vector: np.ndarray) -> str:
    axis = int(np.abs(vector).argmax())
    return _ALONG[axis] if vector[axis] > 0 else _AGAINST[_ALONG[axis]]


def _unit(letter: str) -> np.ndarray:
    along = letter in _ALONG
    axis = _ALONG.index(letter if along else _AGAINST[letter])
    return np.eye(3)[axis] * (1 if along else -1)


def _ends(letter: str, *, first: bool) -> tuple[str, str]:
    """Return the letters at the top and bottom, or left and right, of an axis."""
    return (letter, _AGAINST[letter]) if first else (_AGAINST[letter], letter)
