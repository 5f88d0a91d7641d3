import math

import numpy as np
import pytest

from napari_ciml.cases.geometry import Grid
from napari_ciml.metrics import axial_diameters

ANISOTROPIC = Grid((60, 50, 20), (0.5, 0.8, 3.0), (-10.0, -20.0, 5.0))


def ellipsoid(grid: Grid, centre: tuple[float, ...], form: np.ndarray) -> np.ndarray:
    """Return where (p - centre)^T form (p - centre) <= 1, points as (x, y, z) in mm."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.size), indexing="ij"), axis=-1)
    axes = np.reshape(grid.direction, (3, 3))
    points = index * grid.spacing @ axes.T + grid.origin - np.array(centre)
    return np.einsum("...i,ij,...j->...", points, form, points).transpose(2, 1, 0) <= 1


def turned(axis: int, degrees: float) -> np.ndarray:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b = (k for k in range(3) if k != axis)
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


def test_a_box_of_anisotropic_voxels_by_hand() -> None:
    """20 x 16 voxels of 0.5 x 0.8 mm are 10 x 12.8 mm, whatever the slices' distance."""
    mask = np.zeros(ANISOTROPIC.shape, bool)
    mask[3:9, 10:26, 5:25] = True
    found = axial_diameters(mask, ANISOTROPIC)
    diagonal = math.hypot(10, 12.8)
    assert found.longest_mm == pytest.approx(diagonal)
    # Across a diagonal, a rectangle's longest chord runs between the longer sides.
    assert found.perpendicular_mm == pytest.approx(10 * diagonal / 12.8)
    assert found.product_mm2 == pytest.approx(10 * diagonal**2 / 12.8)
    assert found.measurable
    (start, end), (first, last) = np.array(found.lines)
    # The outer edges: -20 + 9.5 x 0.8 and -10 + 4.5 x 0.5 are the lowest.
    assert sorted((start[1], end[1])) == pytest.approx([-12.4, 0.4])
    assert sorted((start[2], end[2])) == pytest.approx([-7.75, 2.25])
    assert start[0] == end[0] == first[0] == last[0]
    assert 5 + 3 * 3 <= start[0] <= 5 + 8 * 3
    assert np.dot(end - start, last - first) == pytest.approx(0, abs=1e-9)


def test_one_voxel_is_as_large_as_a_voxel() -> None:
    mask = np.zeros(ANISOTROPIC.shape, bool)
    mask[4, 4, 4] = True
    found = axial_diameters(mask, ANISOTROPIC)
    assert found.longest_mm == pytest.approx(math.hypot(0.5, 0.8))
    assert not found.measurable
    assert axial_diameters(mask & False, ANISOTROPIC).longest_mm == 0


TILT = turned(2, 30) @ turned(0, 40)
FORM = TILT @ np.diag([1 / 20**2, 1 / 8**2, 1 / 12**2]) @ TILT.T


def expected_diameters() -> tuple[float, float]:
    """The largest axial section of a centred ellipsoid is that through its centre."""
    wide, narrow = 2 / np.sqrt(np.linalg.eigvalsh(FORM[:2, :2]))
    return wide, narrow


@pytest.mark.parametrize(
    "grid",
    [
        Grid((60, 60, 60), (1.0, 1.0, 1.0), (-30.0, -30.0, -30.0)),
        Grid((90, 60, 24), (0.6, 1.0, 2.5), (-27.0, -30.0, -30.0)),
        # Askew by 25 degrees: its own slices are not axial.
        Grid(
            (70, 70, 70),
            (1.0, 1.0, 1.0),
            tuple(turned(0, 25) @ (-35.0, -35.0, -35.0)),
            tuple(turned(0, 25).ravel()),
        ),
    ],
    ids=["isotropic", "anisotropic", "askew"],
)
def test_a_tilted_ellipsoid_in_the_axial_plane_of_the_world(grid: Grid) -> None:
    wide, narrow = expected_diameters()
    found = axial_diameters(ellipsoid(grid, (0.3, -0.2, 0.1), FORM), grid)
    assert found.longest_mm == pytest.approx(wide, abs=1.5)
    assert found.perpendicular_mm == pytest.approx(narrow, abs=1.5)
    assert wide - narrow > 10


def test_a_diameter_does_not_reach_across_a_gap() -> None:
    """Two discs joined by a bridge in another slice: each is measured by itself."""
    grid = Grid((60, 30, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    mask = np.zeros(grid.shape, bool)
    mask[1:4, 10:20, 5:15] = mask[1:4, 10:20, 40:50] = True
    mask[4, 15, 5:50] = True
    found = axial_diameters(mask[:4], grid)
    assert found.longest_mm == pytest.approx(math.hypot(10, 10))
    assert axial_diameters(mask, grid).longest_mm == pytest.approx(math.hypot(45, 1))


def test_the_longest_chord_across_may_lie_off_the_middle() -> None:
    """A triangle: across its longest side, the longest chord ends in the third corner."""
    grid = Grid((80, 80, 1), (0.25, 0.25, 1.0), (0.0, 0.0, 0.0))
    y, x = np.mgrid[:80, :80] * 0.25
    # Corners (1, 1), (17, 1), (13, 7).
    inside = (y >= 1) & (y <= 1 + (x - 1) / 2) & (y - 7 <= -1.5 * (x - 13))
    found = axial_diameters(inside[None], grid)
    assert found.longest_mm == pytest.approx(16, abs=0.5)
    assert found.perpendicular_mm == pytest.approx(6, abs=0.5)
