"""Volumes whose voxels name their own position, as series of every kind."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.uid import RLELossless
from scipy.spatial.transform import Rotation

from helpers.dicom_files import positions, write_enhanced, write_series
from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.writing import write_on_native_grid

SIZE, SPACING, ORIGIN = (11, 9, 7), (0.9, 1.3, 2.6), (-31.7, 12.3, -45.1)
TURNS = {
    "axial": np.eye(3),
    "axial, from above": np.diag([1.0, 1.0, -1.0]) @ np.diag([-1.0, 1.0, 1.0]),
    "sagittal": np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "oblique": Rotation.from_euler("xyz", (12, -7, 20), degrees=True).as_matrix(),
    "oblique sagittal": Rotation.from_euler("xyz", (9, 4, -6), degrees=True).as_matrix()
    @ np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]]),
}


def grid_of(turn: np.ndarray) -> Grid:
    return Grid(SIZE, SPACING, ORIGIN, tuple(turn.ravel().tolist()))


def check(folder: Path, grid: Grid, tmp_path: Path) -> None:
    """Every voxel of the case, and of a result that is written, lies where it says it lies."""
    case = open_case(folder)
    assert case.native_grid.is_close(grid)
    np.testing.assert_allclose(case.native_grid.origin, grid.origin, atol=1e-5)
    np.testing.assert_allclose(case.native_grid.direction, grid.direction, atol=1e-6)
    image = case.images["FLAIR"]
    assert np.array_equal(np.sort(image.ravel()), np.sort(positions(grid).ravel()))
    for at in [(0, 0, 0), (1, 3, 2), tuple(n - 1 for n in case.grid.size)]:
        x, y, z = np.rint(grid.index(case.grid.world(at))).astype(int)
        assert image[at[2], at[1], at[0]] == positions(grid)[z, y, x]
    path = tmp_path / "result.nii.gz"
    write_on_native_grid(path, image.astype(np.int16), case)
    back = sitk.ReadImage(str(path))
    np.testing.assert_allclose(back.GetOrigin(), grid.origin, atol=1e-4)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), positions(grid))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("backwards", [False, True])
def test_files_of_one_slice(turn: str, backwards: bool, tmp_path: Path) -> None:
    grid = grid_of(TURNS[turn])
    paths = write_series(tmp_path / "s", grid, positions(grid), SeriesDescription="FLAIR")
    if backwards:
        for k, path in enumerate(sorted(paths)):
            path.rename(path.with_name(f"{len(paths) - k}.dcm"))
    check(tmp_path / "s", grid, tmp_path)


@pytest.mark.parametrize("turn", ["axial", "oblique sagittal"])
def test_enhanced_multi_frame(turn: str, tmp_path: Path) -> None:
    grid = grid_of(TURNS[turn])
    write_enhanced(tmp_path / "s" / "IM1", grid, positions(grid), SeriesDescription="FLAIR")
    check(tmp_path / "s", grid, tmp_path)


def test_compressed(tmp_path: Path) -> None:
    grid = grid_of(TURNS["axial"])
    slopes = np.linspace(0.5, 2, SIZE[2])
    tags = {"SeriesDescription": "FLAIR", "slopes": slopes}
    paths = write_series(tmp_path / "s", grid, positions(grid), **tags)
    paths.append(write_enhanced(tmp_path / "e" / "IM1", grid, positions(grid), **tags))
    for path in paths:
        made = dcmread(path)
        made.compress(RLELossless, generate_instance_uid=False)
        made.save_as(path)
    expected = positions(grid) * slopes[:, None, None]
    for folder in ("s", "e"):
        image = open_case(tmp_path / folder).images["FLAIR"]
        np.testing.assert_allclose(image, expected, rtol=1e-6)


def test_slices_have_slopes_of_their_own(tmp_path: Path) -> None:
    grid = grid_of(TURNS["oblique"])
    slopes = np.linspace(0.25, 3.7, SIZE[2])
    expected = positions(grid) * slopes[:, None, None]
    for modality in ("MR", "PT"):
        write_series(
            tmp_path / modality, grid, positions(grid), modality, slopes=slopes,
            SeriesDescription="FLAIR",
        )  # fmt: skip
        case = open_case(tmp_path / modality)
        image = case.images["FLAIR" if modality == "MR" else "PET"]
        native = sitk.GetArrayFromImage(sitk.DICOMOrient(case.grid.to_sitk(image), "LPS"))
        np.testing.assert_allclose(np.sort(native.ravel()), np.sort(expected.ravel()), rtol=1e-6)
    path = tmp_path / "e" / "IM1"
    write_enhanced(path, grid, positions(grid), slopes=slopes, SeriesDescription="FLAIR")
    image = open_case(tmp_path / "e").images["FLAIR"]
    np.testing.assert_allclose(np.sort(image.ravel()), np.sort(expected.ravel()), rtol=1e-6)


def test_a_missing_slice_is_interpolated_and_told(tmp_path: Path) -> None:
    grid = grid_of(TURNS["axial"])
    values = (np.arange(7)[:, None, None] * 100 + np.zeros(grid.shape)).astype(np.int16)
    paths = write_series(tmp_path / "s", grid, values, SeriesDescription="FLAIR")
    paths[3].unlink()
    case = open_case(tmp_path / "s")
    assert any("1 slice is missing" in said and "interpolated" in said for said in case.notices)
    np.testing.assert_allclose(case.images["FLAIR"][:, 4, 4], np.arange(7) * 100)
    assert case.native_grid.is_close(grid)


def test_doubled_slices_the_later_one_counts(tmp_path: Path) -> None:
    grid = grid_of(TURNS["axial"])
    series = "1.2.3.4"
    write_series(
        tmp_path / "s", grid, positions(grid), SeriesDescription="FLAIR", SeriesInstanceUID=series
    )
    one = Grid((11, 9, 1), SPACING, tuple(grid.world((0, 0, 2))))
    write_series(
        tmp_path / "s" / "again", one, np.full(one.shape, 7000), SeriesDescription="FLAIR",
        SeriesInstanceUID=series, AcquisitionDate="20240131", AcquisitionTime="120000",
    )  # fmt: skip
    case = open_case(tmp_path / "s")
    assert any("1 slice is there twice; the later one is used" in said for said in case.notices)
    assert (case.images["FLAIR"][2] == 7000).all()
    assert case.images["FLAIR"].shape == (7, 9, 11)


def test_uneven_spacing_is_brought_to_even(tmp_path: Path) -> None:
    heights = np.array([0.0, 2.5, 5.0, 7.5, 10.0, 15.0, 20.0, 25.0])
    for k, height in enumerate(heights):
        one = Grid((11, 9, 1), (1.0, 1.0, 2.5), (0.0, 0.0, height))
        write_series(
            tmp_path / "s" / str(k), one, np.full(one.shape, height * 10) + np.arange(11),
            SeriesDescription="FLAIR", SeriesInstanceUID="1.2.3",
        )  # fmt: skip
    case = open_case(tmp_path / "s")
    np.testing.assert_allclose(case.images["FLAIR"][:, 0, 0], np.arange(0, 251, 25), atol=1e-3)
    assert case.grid.spacing[2] == pytest.approx(2.5)


@pytest.mark.parametrize("turn", ["axial", "oblique"])
def test_a_tilted_gantry_is_straightened(turn: str, tmp_path: Path) -> None:
    """The object stays where it is in the world, which the slices alone do not say."""
    grid = Grid((24, 20, 12), (1.0, 1.0, 2.0), ORIGIN, tuple(TURNS[turn].ravel().tolist()))
    shear = (0.0, 0.53)
    axes = np.reshape(grid.direction, (3, 3))
    z, y, x = np.indices(grid.shape)
    local = np.stack([x * 1.0, y * 1.0 + 0.53 * z, z * 2.0], axis=-1)
    centre = np.array([12.0, 12.0, 11.0])
    values = np.clip(1000 - 60 * np.linalg.norm(local - centre, axis=-1), 0, None)
    write_series(
        tmp_path / "s", grid, values.round(), "CT", shear=shear, SeriesDescription="head",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    )  # fmt: skip
    case = open_case(tmp_path / "s")
    assert any("gantry tilt of 14.8 degrees" in said for said in case.notices)
    image = case.images["CT"]
    weights = np.clip(image - 300, 0, None)
    where = [float((weights * index).sum() / weights.sum()) for index in np.indices(image.shape)]
    seen = case.grid.world(tuple(reversed(where)))
    expected = np.array(ORIGIN) + axes @ centre
    assert np.linalg.norm(seen - expected) < 0.1
