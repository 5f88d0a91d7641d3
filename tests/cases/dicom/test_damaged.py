"""Files that are cut short or in which bits have changed."""

import time
from itertools import count
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from helpers import dicom_files
from helpers.dicom_files import PET, positions, tracer, write_enhanced, write_series
from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import InputError

GRID = Grid((12, 10, 4), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))


@pytest.fixture
def same_uids(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files every time: of other UIDs the same bits would be other damage."""
    numbers = count()

    def uid() -> str:
        return generate_uid(entropy_srcs=[str(next(numbers))])

    monkeypatch.setattr(dicom_files, "generate_uid", uid)
    monkeypatch.setattr(dicom_files, "STUDY", uid())
    monkeypatch.setattr(dicom_files, "FRAME", uid())


@pytest.mark.usefixtures("same_uids")
@pytest.mark.parametrize("enhanced", [False, True])
def test_they_open_or_are_refused_in_one_sentence(
    enhanced: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if enhanced:
        paths = [write_enhanced(tmp_path / "1", GRID, positions(GRID), SeriesDescription="T1")]
    else:
        radio = {"RadiopharmaceuticalInformationSequence": tracer()}
        paths = write_series(tmp_path, GRID, positions(GRID), "PT", **PET, **radio)
    rng = np.random.default_rng(0)
    refused = []
    for _ in range(60):
        path = paths[rng.integers(len(paths))]
        good = path.read_bytes()
        bad = bytearray(good[: rng.integers(1, len(good))] if rng.random() < 0.3 else good)
        if len(bad) > 200:
            for at in rng.integers(132, min(len(bad), 2600), 8):
                bad[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        try:
            open_case(tmp_path)
        except InputError as error:
            refused.append(str(error))
        path.write_bytes(good)
    assert 5 < len(refused) < 60
    assert not any("\n" in sentence for sentence in refused)
    assert capfd.readouterr().err == ""


def test_a_size_that_is_a_lie_takes_no_memory(tmp_path: Path) -> None:
    (path, *_) = write_series(tmp_path, GRID, positions(GRID), SeriesDescription="T1")
    rows = b"\x28\x00\x10\x00US\x02\x00"
    content = path.read_bytes()
    assert content.count(rows) == 1
    at = content.index(rows) + len(rows)
    path.write_bytes(content[:at] + b"\xff\xff" + content[at + 2 :])
    case = open_case(tmp_path)
    assert case.images["T1"].shape == (3, 10, 12)


def test_a_slice_far_away_makes_no_giant(tmp_path: Path) -> None:
    write_series(tmp_path, GRID, positions(GRID), shear=(90000.0, 0.0), SeriesDescription="T1")
    with pytest.raises(InputError, match="slices that do not overlap in-plane"):
        open_case(tmp_path)


@pytest.mark.parametrize("repeated", ["frames", "positions"])
def test_functional_groups_that_are_far_too_many_are_not_taken_apart(
    repeated: str, tmp_path: Path
) -> None:
    path = write_enhanced(tmp_path / "1", GRID, positions(GRID), SeriesDescription="T1")
    whole = pydicom.dcmread(path)
    frames = whole.PerFrameFunctionalGroupsSequence
    if repeated == "frames":
        frames.extend(list(frames) * 5)
    else:
        frames[0].PlanePositionSequence.extend(list(frames[0].PlanePositionSequence) * 5000)
    whole.save_as(path)
    begun = time.process_time()
    with pytest.raises(InputError, match="get the files again"):
        open_case(tmp_path)
    assert time.process_time() - begun < 3
