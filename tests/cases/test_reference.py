from pathlib import Path

import numpy as np
import pytest

from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import LABEL_CONVENTIONS, region_masks
from napari_ciml.cases.reference import read_reference
from napari_ciml.cases.writing import write_volume
from napari_ciml.errors import InputError

REGIONS = LABEL_CONVENTIONS["brats2020"]
GRID = Grid((48, 44, 40), (3.0, 3.0, 3.0), (-70.0, -60.0, -50.0))


def labels_of(*values: int) -> np.ndarray:
    labels = np.zeros(GRID.shape, np.uint8)
    for k, value in enumerate(values):
        labels[10:14, 10:14, 4 * k + 4 : 4 * k + 8] = value
    return labels


def test_same_grid_and_known_labels_need_no_word(case_folder: Path, tmp_path: Path) -> None:
    case = open_case(case_folder)
    write_volume(tmp_path / "seg.nii.gz", labels_of(1, 2, 4), case.grid)
    found = read_reference(tmp_path / "seg.nii.gz", case, REGIONS)
    assert found.notices == ()
    assert found.regions == REGIONS
    np.testing.assert_array_equal(found.labels, labels_of(1, 2, 4))


def test_another_grid_is_told(case_folder: Path, tmp_path: Path) -> None:
    case = open_case(case_folder)
    fine = Grid((96, 88, 80), (1.5, 1.5, 1.5), (-70.75, -60.75, -50.75))
    doubled = labels_of(2).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    write_volume(tmp_path / "seg.nii.gz", doubled, fine)
    found = read_reference(tmp_path / "seg.nii.gz", case, REGIONS)
    np.testing.assert_array_equal(found.labels, labels_of(2))
    (notice,) = found.notices
    assert notice == (
        "seg.nii.gz (96 x 88 x 80, 1.5 x 1.5 x 1.5 mm) was resampled to the case grid "
        "(48 x 44 x 40, 3 x 3 x 3 mm), nearest neighbour."
    )


def test_conventions_are_told_and_never_guessed(case_folder: Path, tmp_path: Path) -> None:
    case = open_case(case_folder)
    path = tmp_path / "seg.nii.gz"
    write_volume(path, labels_of(1, 2, 3, 4), case.grid)
    clear = read_reference(path, case, REGIONS)
    assert clear.regions == LABEL_CONVENTIONS["brats2013"]
    assert clear.notices == ("seg.nii.gz (labels 1, 2, 3, 4) is taken as brats2013.",)
    write_volume(path, labels_of(1, 2, 3), case.grid)
    unclear = read_reference(path, case, REGIONS)
    assert unclear.regions == ()
    assert unclear.conventions == ("brats2021", "brats2013")
    assert "choose one" in unclear.notices[0]
    chosen = unclear.with_convention("brats2021")
    assert region_masks(chosen.labels, chosen.regions)["ET"].sum() == 64
    write_volume(path, labels_of(9), case.grid)
    with pytest.raises(InputError, match="no region has the label 9"):
        read_reference(path, case, REGIONS)


def test_of_another_examination(case_folder: Path, tmp_path: Path) -> None:
    case = open_case(case_folder)
    far = Grid(GRID.size, GRID.spacing, (900.0, 0.0, 0.0))
    write_volume(tmp_path / "seg.nii.gz", labels_of(2), far)
    with pytest.raises(InputError, match="does not overlap"):
        read_reference(tmp_path / "seg.nii.gz", case, REGIONS)
