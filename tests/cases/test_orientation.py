"""Sides of the patient on the screen: right for every orientation, and never mirrored."""

from itertools import permutations

import numpy as np
import pytest
import SimpleITK as sitk

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.orientation import axis_letters, radiological_orientation

CODES = ["".join(code) for letters in ("LPS", "RAS", "RPI") for code in permutations(letters)]


def direction_of(code: str) -> tuple[float, ...]:
    """Direction cosines of an array whose x, y and z point at these letters' sides."""
    names = sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(code)
    return tuple(names)


@pytest.mark.parametrize("code", CODES)
def test_letters_are_where_the_axes_point(code: str) -> None:
    assert axis_letters(direction_of(code)) == (code[2], code[1], code[0])


def test_an_lps_grid_is_shown_as_radiologists_do() -> None:
    lps = direction_of("LPS")
    axial, coronal, sagittal = (
        radiological_orientation(lps, o) for o in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
    )
    assert (axial.left, axial.right, axial.top, axial.bottom) == ("R", "L", "A", "P")
    assert (axial.vertical, axial.horizontal) == ("down", "right")
    assert (axial.plane, axial.seen_from) == ("axial", "I")
    assert (coronal.left, coronal.right, coronal.top, coronal.bottom) == ("R", "L", "S", "I")
    assert (coronal.vertical, coronal.horizontal) == ("up", "right")
    assert (coronal.plane, coronal.seen_from) == ("coronal", "A")
    assert (sagittal.left, sagittal.right, sagittal.top, sagittal.bottom) == ("A", "P", "S", "I")
    assert (sagittal.plane, sagittal.seen_from) == ("sagittal", "L")
    assert axial.describe() == "axial, seen from the feet"


def test_an_ras_grid_is_turned_and_not_mirrored() -> None:
    axial = radiological_orientation(direction_of("RAS"))
    assert (axial.left, axial.right, axial.top, axial.bottom) == ("R", "L", "A", "P")
    assert (axial.vertical, axial.horizontal) == ("up", "left")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_picture_is_a_turned_patient_never_a_mirrored_one(
    code: str, order: tuple[int, int, int]
) -> None:
    direction = direction_of(code)
    view = radiological_orientation(direction, order)
    # Where each axis of the array goes on the screen: right, down, away.
    signs = {"right": 1, "left": -1, "down": 1, "up": -1, "away": 1, "towards": -1}
    screen = np.zeros((3, 3))
    through, down, across = order
    screen[:, across] = (signs[view.horizontal], 0, 0)
    screen[:, down] = (0, signs[view.vertical], 0)
    screen[:, through] = (0, 0, signs[view.depth])
    patient = np.reshape(direction, (3, 3))[:, ::-1]
    assert np.linalg.det(screen @ np.linalg.inv(patient)) == pytest.approx(1)

    ends = {
        "L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0),
        "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1),
    }  # fmt: skip
    shown = screen @ np.linalg.inv(patient)
    for letter, place in (
        (view.right, (1, 0, 0)),
        (view.left, (-1, 0, 0)),
        (view.bottom, (0, 1, 0)),
        (view.top, (0, -1, 0)),
        (view.seen_from, (0, 0, -1)),
    ):
        np.testing.assert_allclose(shown @ ends[letter], place, atol=1e-9)


def test_an_oblique_grid_takes_the_closest_letters() -> None:
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.3, -0.2, 0.25)
    grid = Grid((4, 4, 4), (1.0,) * 3, (0.0,) * 3, turn.GetMatrix())
    assert axis_letters(grid.direction) == ("S", "P", "L")
