from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from helpers.cases import write_case
from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import LABEL_CONVENTIONS
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.autosave import (
    AutosaveRecord,
    delete_autosave,
    find_autosaves,
    fingerprint_case,
    load_autosave,
    save_autosave,
)

GRID = Grid((20, 22, 24), (0.9, 1.1, 3.3), (-70.3, -60.0, 50.0))
NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def a_case(folder: Path, seed: int = 0, grid: Grid = GRID) -> Case:
    return open_case(write_case(folder, grid, seed))


def correction_of(case: Case, key: str = "a", saved: datetime = NOW) -> AutosaveRecord:
    known = fingerprint_case(case, ProgressMonitor())
    return AutosaveRecord(
        key=key,
        images=tuple(sorted(known.images)),
        grid=known.grid,
        regions=LABEL_CONVENTIONS["brats2020"],
        saved=saved,
    )


def some_labels(case: Case) -> np.ndarray:
    labels = np.zeros(case.grid.shape, np.uint8)
    labels[3:9, 4:10, 5:11], labels[5, 6, 7] = 2, 4
    return labels


def test_kept_and_brought_back_under_another_name(tmp_path: Path) -> None:
    case = a_case(tmp_path / "Doe^Jane")
    save_autosave(tmp_path / "kept", correction_of(case), some_labels(case))
    (tmp_path / "Doe^Jane").rename(tmp_path / "elsewhere")
    again = open_case(tmp_path / "elsewhere")
    (found,) = find_autosaves(tmp_path / "kept", fingerprint_case(again, ProgressMonitor()))
    assert found == correction_of(case)
    np.testing.assert_array_equal(load_autosave(tmp_path / "kept", found), some_labels(case))
    for path in (tmp_path / "kept").iterdir():
        assert "Doe" not in path.name
        assert b"Doe" not in path.read_bytes()


def test_another_case_is_not_this_one(tmp_path: Path) -> None:
    case = a_case(tmp_path / "case")
    save_autosave(tmp_path / "kept", correction_of(case), some_labels(case))
    other = a_case(tmp_path / "other", seed=1)
    assert find_autosaves(tmp_path / "kept", fingerprint_case(other, ProgressMonitor())) == ()
    moved = Grid(GRID.size, GRID.spacing, (0.0, 0.0, 0.0))
    shifted = a_case(tmp_path / "shifted", grid=moved)
    assert find_autosaves(tmp_path / "kept", fingerprint_case(shifted, ProgressMonitor())) == ()
    assert find_autosaves(tmp_path / "nowhere", fingerprint_case(case, ProgressMonitor())) == ()


def test_a_modality_more_or_less_is_the_same_case(tmp_path: Path) -> None:
    case = a_case(tmp_path / "case")
    save_autosave(tmp_path / "kept", correction_of(case), some_labels(case))
    (tmp_path / "case" / "case_t1.nii.gz").unlink()
    fewer = open_case(tmp_path / "case")
    assert len(find_autosaves(tmp_path / "kept", fingerprint_case(fewer, ProgressMonitor()))) == 1


def test_the_latest_first_and_what_is_broken_not_at_all(tmp_path: Path) -> None:
    case, folder = a_case(tmp_path / "case"), tmp_path / "kept"
    for key, age in (("old", 9), ("new", 1), ("older", 20)):
        save_autosave(
            folder, correction_of(case, key, NOW - timedelta(hours=age)), some_labels(case)
        )
    (folder / "older.json").write_text("{")
    found = find_autosaves(folder, fingerprint_case(case, ProgressMonitor()))
    assert [correction.key for correction in found] == ["new", "old"]
    (folder / "new.nii.gz").write_bytes(b"torn")
    with pytest.raises(InputError, match="damaged"):
        load_autosave(folder, found[0])
    delete_autosave(folder, "new")
    assert [c.key for c in find_autosaves(folder, fingerprint_case(case, ProgressMonitor()))] == [
        "old"
    ]
    assert not (folder / "new.nii.gz").exists()


def test_what_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, folder = a_case(tmp_path / "case"), tmp_path / "kept"
    save_autosave(folder, correction_of(case), some_labels(case))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_ciml.files.os.fsync", full)
    with pytest.raises(InputError, match="no space left"):
        save_autosave(folder, correction_of(case), some_labels(case) * 0)
    monkeypatch.undo()
    np.testing.assert_array_equal(load_autosave(folder, correction_of(case)), some_labels(case))
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "a.nii.gz"]
