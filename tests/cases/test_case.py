from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from helpers.cases import write_case
from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.intensity import foreground
from napari_ciml.cases.writing import read_label_map, write_on_native_grid, write_volume
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.metrics import dice
from napari_ciml.progress import ProgressMonitor

GRID = Grid((48, 44, 40), (3.0, 3.0, 3.0), (-70.0, -60.0, -50.0))


def test_reference_is_the_finest_and_others_are_brought_onto_it(case_folder: Path) -> None:
    fine = Grid((96, 88, 40), (1.5, 1.5, 3.0), (-70.75, -60.75, -50.0))
    write_case(case_folder, fine, names="t2")
    case = open_case(case_folder)
    assert case.reference == "T2"
    assert {image.shape for image in case.images.values()} == {fine.shape}
    assert len(case.notices) == 3
    assert "FLAIR (48 x 44 x 40, 3 x 3 x 3 mm) was resampled" in case.notices[0]
    chosen = open_case(case_folder, reference="T1")
    assert chosen.grid.is_close(GRID)


def test_other_orientation_with_the_same_voxels_is_not_interpolated(case_folder: Path) -> None:
    before = open_case(case_folder).images["T1"]
    image = sitk.ReadImage(str(case_folder / "case_t1.nii.gz"))
    sitk.WriteImage(sitk.DICOMOrient(image, "RIA"), str(case_folder / "case_t1.nii.gz"))
    case = open_case(case_folder)
    assert case.notices == ()
    np.testing.assert_array_equal(case.images["T1"], before)


def test_no_overlap_in_the_world(case_folder: Path) -> None:
    away = Grid(GRID.size, GRID.spacing, (500.0, 0.0, 0.0))
    write_case(case_folder, away, names="t2")
    with pytest.raises(InputError, match="T2 does not overlap FLAIR"):
        open_case(case_folder)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_voxels_that_are_no_number(case_folder: Path, bad: float) -> None:
    path = case_folder / "case_t1.nii.gz"
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    array[20, 20, 18:21] = bad
    write_volume(path, array, GRID)
    case = open_case(case_folder)
    assert case.notices == (
        "T1: 3 voxels were not a number (NaN or infinite) and set to background.",
    )
    assert np.isfinite(case.images["T1"]).all()
    assert case.images["T1"][20, 20, 19] == 0


def test_too_many_of_them_inside_are_refused_and_any_number_outside_is_background(
    case_folder: Path,
) -> None:
    path = case_folder / "case_t1.nii.gz"
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    write_volume(path, np.where(array == 0, np.nan, array), GRID)
    assert dice(foreground(open_case(case_folder).images["T1"]), array != 0) > 0.999
    array[15:25, 15:25, 15:25] = np.nan
    write_volume(path, array, GRID)
    with pytest.raises(InputError, match=r"case_t1.nii.gz: 1000 voxels inside .* not a number"):
        open_case(case_folder)


@pytest.mark.parametrize("value", [7.0, np.nan])
def test_an_image_without_contents(case_folder: Path, value: float) -> None:
    write_volume(case_folder / "case_t1.nii.gz", np.full(GRID.shape, value, np.float32), GRID)
    with pytest.raises(InputError, match=r"case_t1.nii.gz: every voxel is the same"):
        open_case(case_folder)


def test_unknown_reference(case_folder: Path) -> None:
    with pytest.raises(InputError, match="reference PET is not in the case"):
        open_case(case_folder, reference="PET")


def test_cancel_while_reading(case_folder: Path) -> None:
    monitor = ProgressMonitor()
    monitor.stop.set()
    with pytest.raises(CancelledError):
        open_case(case_folder, monitor=monitor)


def test_a_failed_write_leaves_the_old_file(case_folder: Path, tmp_path: Path) -> None:
    case = open_case(case_folder)
    blocked = tmp_path / "a_file"
    blocked.write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        write_on_native_grid(blocked / "x.nii.gz", np.zeros(case.grid.shape, np.uint8), case)
    assert blocked.read_text() == "in the way"


def test_label_map_of_another_examination_or_none(case_folder: Path, tmp_path: Path) -> None:
    case = open_case(case_folder)
    away = Grid(GRID.size, GRID.spacing, (500.0, 0.0, 0.0))
    write_volume(tmp_path / "away.nii.gz", np.ones(GRID.shape, np.uint8), away)
    with pytest.raises(InputError, match="does not overlap"):
        read_label_map(tmp_path / "away.nii.gz", case)
    with pytest.raises(InputError, match="values that are no labels"):
        read_label_map(case_folder / "case_t1.nii.gz", case)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("TCGA-DU-7294", "FLAIR"),
        ("TCGA-DU-7294-native", "T1CE"),
        ("AURORA-metastasis", "FLAIR"),
        ("BraTS2013/brats_2013_pat0005_1", "FLAIR"),
    ],
)
def test_real_geometry_comes_back_bit_for_bit(
    real_data: Path, tmp_path: Path, name: str, reference: str
) -> None:
    case = open_case(real_data / name)
    assert case.reference == reference
    written = tmp_path / "result.nii.gz"
    write_on_native_grid(written, case.images[reference], case)
    original = sitk.ReadImage(str(case.sources[reference].path), sitk.sitkFloat32)
    back = sitk.ReadImage(str(written))
    assert Grid.of(back) == Grid.of(original)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(original))
