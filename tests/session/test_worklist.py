from pathlib import Path

import pytest

from helpers.cases import write_case
from helpers.dicom_files import positions, write_series
from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.worklist import CaseStatus, open_worklist

GRID = Grid((16, 16, 16), (4.0, 4.0, 4.0), (0.0, 0.0, 0.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("Doe Jane", "Roe Rick"):
        write_case(tmp_path / "cases" / name, GRID)
    return tmp_path / "cases"


def test_where_cases_stand_is_kept_without_their_names(folder: Path, tmp_path: Path) -> None:
    worklist = open_worklist(folder, tmp_path / "place")
    assert [case.name for case in worklist.cases] == ["Doe Jane", "Roe Rick"]
    assert worklist.status(1).stage == "new"
    worklist.record_save(1, {"a"}, painted=True)
    again = open_worklist(folder, tmp_path / "place")
    assert [again.status(k).stage for k in range(2)] == ["new", "corrected"]
    text = (tmp_path / "place" / "worklist.json").read_text()
    assert "Doe" not in text
    assert "Roe" not in text
    assert "Roe" not in again.session(1).name


def test_patients_whose_images_are_dicom_are_cases_too(folder: Path, tmp_path: Path) -> None:
    for name in ("Loe Lea", "Zoe Zac"):
        for number in (1, 2):
            series = tmp_path / "dicom" / name / "study" / f"series {number}"
            said = {"PatientID": name, "StudyInstanceUID": f"1.2.{ord(name[0])}"}
            write_series(series, GRID, positions(GRID), number=number, **said)
    (tmp_path / "dicom" / "notes").mkdir()
    (tmp_path / "dicom" / "notes" / "a.txt").write_text("no images here")
    alone = open_worklist(tmp_path / "dicom", tmp_path / "place")
    assert [case.name for case in alone.cases] == ["Loe Lea", "Zoe Zac"]
    assert alone.cases[1].folder == tmp_path / "dicom" / "Zoe Zac"
    (tmp_path / "dicom" / "Loe Lea").rename(folder / "Loe Lea")
    both = open_worklist(folder, tmp_path / "place")
    assert [case.name for case in both.cases] == ["Doe Jane", "Loe Lea", "Roe Rick"]
    monitor = ProgressMonitor(report=lambda _: monitor.stop.set())
    with pytest.raises(CancelledError):
        open_worklist(folder, tmp_path / "place", monitor)
    with pytest.raises(InputError, match="holds no case folders"):
        open_worklist(tmp_path / "dicom" / "notes", tmp_path / "place")


def test_a_case_with_a_file_for_each_modality_is_the_only_one(folder: Path, tmp_path: Path) -> None:
    one = folder / "Roe Rick"
    (one / "algorithms").mkdir()
    (one / "algorithms" / "a_net.nii.gz").write_bytes((one / "case_t1.nii.gz").read_bytes())
    assert [case.folder for case in open_worklist(one, tmp_path / "place").cases] == [one]
    # Images beside case folders that are no case make the folder none.
    (one / "case_t1.nii.gz").replace(folder / "atlas_t1.nii.gz")
    assert len(open_worklist(folder, tmp_path / "place").cases) == 2


def test_images_of_several_patients_side_by_side_are_not_one_case(tmp_path: Path) -> None:
    for name in ("a_t1.nii.gz", "a_t2.nii.gz", "b_t1.nii.gz"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="holds no case folders"):
        open_worklist(tmp_path, tmp_path / "place")


def test_a_folder_for_each_modality_is_one_case_and_opens(folder: Path, tmp_path: Path) -> None:
    one = folder / "Roe Rick"
    for file in one.glob("*.nii.gz"):
        (one / file.name.split(".")[0]).mkdir()
        file.rename(one / file.name.split(".")[0] / file.name)
    (listed,) = open_worklist(one, tmp_path / "place").cases
    assert set(listed.open(("FLAIR", "T1", "T1CE", "T2")).images) == {"FLAIR", "T1", "T1CE", "T2"}


@pytest.mark.parametrize("flat", [True, False])
def test_the_series_of_one_patient_are_one_case(flat: bool, tmp_path: Path) -> None:
    patient = tmp_path / "Loe Lea"
    for number, said in enumerate(("FLAIR", "T1", "T2")):
        where = patient if flat else patient / said
        write_series(where, GRID, positions(GRID), number=number, SeriesDescription=said)
    (listed,) = open_worklist(patient, tmp_path / "place").cases
    assert listed.folder == patient
    assert set(listed.open(("T1", "T2")).images) == {"T1", "T2"}


@pytest.mark.parametrize(("side_by_side", "count"), [(True, 1), (False, 2)])
def test_examinations_are_cases_and_their_series_are_not(
    side_by_side: bool, count: int, tmp_path: Path
) -> None:
    for k in range(4):
        study, where = f"1.2.{k // 2}", str(k) if side_by_side else f"{k // 2}/{k}"
        write_series(
            tmp_path / "p" / where, GRID, positions(GRID), number=k, StudyInstanceUID=study
        )
    assert len(open_worklist(tmp_path / "p", tmp_path / "place").cases) == count


def test_patients_that_are_all_called_the_same_are_told_apart(tmp_path: Path) -> None:
    for k in range(3):
        uid = {"StudyInstanceUID": f"1.2.{k}", "PatientID": "ANON"}
        write_series(tmp_path / "all" / str(k), GRID, positions(GRID), **uid)
    assert len(open_worklist(tmp_path / "all", tmp_path / "place").cases) == 3


def test_exported_until_it_is_painted_on_again(folder: Path, tmp_path: Path) -> None:
    worklist = open_worklist(folder, tmp_path / "place")
    worklist.record_save(0, {"a"}, painted=False)
    assert worklist.status(0).stage == "segmented"
    worklist.set_status(0, CaseStatus(stage="exported", exported="a"))
    worklist.record_save(0, {"a"}, painted=False)
    assert worklist.status(0).stage == "exported"
    worklist.record_save(0, {"b"}, painted=True)
    assert worklist.status(0).stage == "corrected"


def test_a_damaged_worklist_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "worklist.json").write_text('{"cases": {"x": {"stage": "lost"}}}')
    with pytest.raises(InputError, match="the worklist is damaged"):
        open_worklist(folder, tmp_path / "place")
