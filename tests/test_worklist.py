from pathlib import Path

import pytest

from conftest import write_case
from dicoms import positions, write_series
from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.monitor import Monitor
from napari_ciml.worklist import Standing, open_worklist

GRID = Grid((16, 16, 16), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Doe Jane", "Roe Rick"):
        write_case(tmp_path / "cases" / name, GRID)
    return tmp_path / "cases"


def test_where_cases_stand_is_kept_without_their_names(folder: Path, tmp_path: Path) -> None:
    worklist = open_worklist(folder, tmp_path / "place")
    assert [case.name for case in worklist.cases] == ["Doe Jane", "Roe Rick"]
    assert worklist.standing(1).stage == "new"
    worklist.saved(1, "a", painted=True)
    again = open_worklist(folder, tmp_path / "place")
    assert [again.standing(k).stage for k in range(2)] == ["new", "corrected"]
    text = (tmp_path / "place" / "worklist.json").read_text()
    assert "Doe" not in text
    assert "Roe" not in text
    assert "Roe" not in again.session(1).name


def test_patients_whose_images_are_dicom_are_cases_too(folder: Path, tmp_path: Path) -> None:
    for name in ("Loe Lea", "Zoe Zac"):
        for number in (1, 2):
            series = tmp_path / "dicom" / name / "study" / f"series {number}"
            write_series(series, GRID, positions(GRID), number=number, SeriesDescription="T1")
    (tmp_path / "dicom" / "notes").mkdir()
    (tmp_path / "dicom" / "notes" / "a.txt").write_text("no images here")
    alone = open_worklist(tmp_path / "dicom", tmp_path / "place")
    assert [case.name for case in alone.cases] == ["Loe Lea", "Zoe Zac"]
    assert alone.cases[1].folder == tmp_path / "dicom" / "Zoe Zac"
    (tmp_path / "dicom" / "Loe Lea").rename(folder / "Loe Lea")
    both = open_worklist(folder, tmp_path / "place")
    assert [case.name for case in both.cases] == ["Doe Jane", "Loe Lea", "Roe Rick"]
    monitor = Monitor(report=lambda _: monitor.stop.set())
    with pytest.raises(CancelledError):
        open_worklist(folder, tmp_path / "place", monitor)
    with pytest.raises(InputError, match="holds no case folders"):
        open_worklist(tmp_path / "dicom" / "notes", tmp_path / "place")


def test_exported_until_it_is_painted_on_again(folder: Path, tmp_path: Path) -> None:
    worklist = open_worklist(folder, tmp_path / "place")
    worklist.saved(0, "a", painted=False)
    assert worklist.standing(0).stage == "segmented"
    worklist.set_standing(0, Standing(stage="exported", exported="a"))
    worklist.saved(0, "a", painted=False)
    assert worklist.standing(0).stage == "exported"
    worklist.saved(0, "b", painted=True)
    assert worklist.standing(0).stage == "corrected"


def test_a_damaged_worklist_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "worklist.json").write_text('{"cases": {"x": {"stage": "lost"}}}')
    with pytest.raises(InputError, match="the worklist is damaged"):
        open_worklist(folder, tmp_path / "place")
