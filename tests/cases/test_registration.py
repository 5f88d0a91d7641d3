"""Registration finds known motions, gives the same each time, and can be cancelled."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_ciml.cases.alignment import checkerboard, detect_misalignment
from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid, resample
from napari_ciml.cases.registration import RegistrationImage, RegistrationSettings, register
from napari_ciml.cases.transform import AffineTransform
from napari_ciml.cases.writing import write_volume
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.progress import ProgressMonitor

GRID = Grid((50, 56, 44), (3.0, 3.0, 3.0), (-70.0, -80.0, -60.0))
TILTED = AffineTransform.about(
    np.array([5.0, 4.0, 6.0]),
    Rotation.from_euler("xyz", [8, -6, 10], degrees=True).as_matrix(),
    np.array([9.0, -12.0, 6.0]),
)
SHIFTED = AffineTransform(offset=(4.0, -3.0, 5.0))


def contrasts() -> tuple[np.ndarray, np.ndarray]:
    """One object in two contrasts, of which neither is a function of the other."""
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(*(np.linspace(-1.3, 1.3, n) for n in GRID.shape), indexing="ij")
    inside = x**2 + 1.2 * y**2 + 1.5 * z**2 + 0.3 * x * y < 1
    tissue = ndimage.gaussian_filter(rng.standard_normal(GRID.shape), 3)
    tissue /= tissue.std()
    one = np.where(inside, 300 + 80 * tissue + rng.normal(0, 4, GRID.shape), 0)
    other = np.where(inside, 500 - 90 * np.abs(tissue) + rng.normal(0, 4, GRID.shape), 0)
    return one.astype(np.float32), other.astype(np.float32)


def moved(image: np.ndarray, motion: AffineTransform) -> np.ndarray:
    return resample(image, GRID, GRID, transform=motion.inverse())


@pytest.mark.parametrize("truth", [TILTED, SHIFTED, AffineTransform()])
def test_known_motions_are_found(truth: AffineTransform) -> None:
    one, other = contrasts()
    fixed, moving = RegistrationImage.of(one, GRID), RegistrationImage.of(moved(other, truth), GRID)
    settings = RegistrationSettings(levels_mm=(8.0, 4.0), samples=30_000)
    found = register(fixed, moving, settings, ProgressMonitor(), "Aligning")
    points = fixed.points()
    error = np.linalg.norm(found.transform.points(points) - truth.points(points), axis=1)
    assert error.mean() < 0.5 * 3
    assert found == register(fixed, moving, settings, ProgressMonitor(), "Aligning")


def test_a_case_is_aligned_on_request_and_said_to_need_it(tmp_path) -> None:
    one, other = contrasts()
    write_volume(tmp_path / "a_flair.nii.gz", one, GRID)
    write_volume(tmp_path / "a_t2.nii.gz", moved(other, SHIFTED), GRID)
    case = open_case(tmp_path)
    (found,) = detect_misalignment(case.images, GRID, "FLAIR", ProgressMonitor())
    assert found.modality == "T2"
    assert abs(found.mm - np.linalg.norm(SHIFTED.offset)) < 1
    aligned = open_case(tmp_path, align=RegistrationSettings())
    assert "T2 was aligned to FLAIR (rigid: moved by 7." in aligned.notices[0]
    assert detect_misalignment(aligned.images, GRID, "FLAIR", ProgressMonitor()) == ()
    inside = ndimage.binary_erosion(one > 0, iterations=3)
    assert np.corrcoef(aligned.images["T2"][inside], other[inside])[0, 1] > 0.9
    assert np.corrcoef(case.images["T2"][inside], other[inside])[0, 1] < 0.7


def test_what_lies_right_is_not_interpolated(tmp_path) -> None:
    one, other = contrasts()
    write_volume(tmp_path / "a_flair.nii.gz", one, GRID)
    write_volume(tmp_path / "a_t2.nii.gz", other, GRID)
    case = open_case(tmp_path, align=RegistrationSettings())
    assert case.notices == ("T2 is aligned to FLAIR already; it was not moved.",)
    np.testing.assert_array_equal(case.images["T2"], other)


def test_modalities_without_a_common_space_can_be_aligned(tmp_path) -> None:
    one, other = contrasts()
    away = Grid(GRID.size, GRID.spacing, (900.0, 0.0, 0.0))
    write_volume(tmp_path / "a_flair.nii.gz", one, GRID)
    write_volume(tmp_path / "a_t2.nii.gz", other, away)
    with pytest.raises(InputError, match="--align rigid"):
        open_case(tmp_path)
    aligned = open_case(tmp_path, align=RegistrationSettings())
    inside = ndimage.binary_erosion(one > 0, iterations=3)
    assert np.corrcoef(aligned.images["T2"][inside], other[inside])[0, 1] > 0.9


def test_cancel_ends_the_search() -> None:
    one, other = contrasts()
    monitor = ProgressMonitor(report=lambda _: monitor.stop.set())
    with pytest.raises(CancelledError):
        register(
            RegistrationImage.of(one, GRID),
            RegistrationImage.of(other, GRID),
            RegistrationSettings(),
            monitor,
            "Aligning",
        )


def test_checkerboard_takes_turns() -> None:
    grid = Grid((4, 4, 1), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0))
    ones, twos = np.full(grid.shape, 1.0, np.float32), np.full(grid.shape, 2.0, np.float32)
    board = checkerboard(ones, twos, ((0.0, 1.0), (0.0, 4.0)), grid)
    a, b = 255, 127
    assert board[0].tolist() == [[a, a, b, b], [a, a, b, b], [b, b, a, a], [b, b, a, a]]


def test_motions() -> None:
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(TILTED.inverse().points(TILTED.points(points)), points)
    np.testing.assert_allclose(
        TILTED.compose(SHIFTED).points(points), SHIFTED.points(TILTED.points(points))
    )
    assert np.isclose(AffineTransform.about(points[0], np.eye(3), np.ones(3)).rotation_degrees, 0)
    turn = Rotation.from_rotvec([0, 0.3, 0]).as_matrix()
    assert np.isclose(np.radians(AffineTransform.of(turn, np.zeros(3)).rotation_degrees), 0.3)
