"""Radiological display orientation of a grid, for any order of its axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

_ALONG = ("L", "P", "S")
"""Directions of the axes of LPS world coordinates."""

_OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "S": "I", "I": "S"}
_SIDES = {"L": "left", "R": "right", "P": "back", "A": "front", "S": "head", "I": "feet"}
_PLANES = {"S": "axial", "I": "axial", "P": "coronal", "A": "coronal"}
_TOP_OR_LEFT = frozenset("SAR")
"""Sides of the patient that are displayed at the top or at the left, by convention."""


@dataclass(frozen=True)
class RadiologicalOrientation:
    """Orientation of a displayed plane.

    Parameters
    ----------
    depth : {"away", "towards"}
        Direction of the axis through the plane on the screen.
    vertical : {"up", "down"}
        Direction of the row axis.
    horizontal : {"left", "right"}
        Direction of the column axis.
    left, right, top, bottom : str
        Side of the patient at each border, one of ``R L A P S I``.
    plane : str
        ``axial``, ``coronal`` or ``sagittal``.
    seen_from : str
        Side of the patient from which the plane is viewed, as a letter.
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
        """Return plane and side in words, such as ``axial, seen from the feet``."""
        return f"{self.plane}, seen from the {_SIDES[self.seen_from]}"


def axis_letters(direction: Sequence[float]) -> tuple[str, str, str]:
    """Return the closest of ``R L A P S I`` for each axis of an array (Z, Y, X).

    Parameters
    ----------
    direction : sequence of float
        Direction cosines in LPS, as `Grid.direction`.
    """
    columns = np.reshape(direction, (3, 3)).T
    x, y, z = (_closest(column) for column in columns)
    return z, y, x


def radiological_orientation(
    direction: Sequence[float], order: Sequence[int] = (0, 1, 2)
) -> RadiologicalOrientation:
    """Return the radiological orientation of a plane; it is never mirrored in 3-D.

    Head or front of the patient are at the top, the right side or front at the left.

    Parameters
    ----------
    direction : sequence of float
        Direction cosines of the grid in LPS.
    order : sequence of int
        Axes of the array (Z, Y, X): through the plane, vertical, horizontal.
    """
    letters = axis_letters(direction)
    through, down, across = order
    up = letters[down] in _TOP_OR_LEFT
    leftwards = letters[across] in _TOP_OR_LEFT
    axes = np.array([_unit(letters[axis]) for axis in (across, down, through)])
    # Right, down and away on the screen form a right-handed system, as left, back and head do.
    away = np.linalg.det(axes) * (-1 if up else 1) * (-1 if leftwards else 1) > 0
    left, right = _ends(letters[across], is_first=leftwards)
    top, bottom = _ends(letters[down], is_first=up)
    return RadiologicalOrientation(
        "away" if away else "towards",
        "up" if up else "down",
        "left" if leftwards else "right",
        left,
        right,
        top,
        bottom,
        _PLANES.get(letters[through], "sagittal"),
        _OPPOSITE[letters[through]] if away else letters[through],
    )


def _closest(vector: np.ndarray) -> str:
    axis = int(np.abs(vector).argmax())
    return _ALONG[axis] if vector[axis] > 0 else _OPPOSITE[_ALONG[axis]]


def _unit(letter: str) -> np.ndarray:
    along = letter in _ALONG
    axis = _ALONG.index(letter if along else _OPPOSITE[letter])
    return np.asarray(np.eye(3)[axis] * (1 if along else -1))


def _ends(letter: str, *, is_first: bool) -> tuple[str, str]:
    """Return the letters at the top and bottom, or at the left and right, of an axis."""
    return (letter, _OPPOSITE[letter]) if is_first else (_OPPOSITE[letter], letter)
