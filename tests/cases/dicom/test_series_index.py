"""A patient's folder as it comes: many series, not all of them wanted."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import generate_uid

from helpers.dicom_files import PET, positions, tracer, write_enhanced, write_series
from napari_ciml.cases.case import open_case
from napari_ciml.cases.discovery import DiscoveredCase, discover_volumes
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.preprocessing import preprocess
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.progress import Progress, ProgressMonitor

GRID = Grid((12, 10, 8), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))
COARSE = Grid((12, 10, 4), (1.0, 1.0, 4.0), (0.0, 0.0, 0.0))
SAGITTAL = Grid((12, 10, 8), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), (0, 0, -1, 1, 0, 0, 0, -1, 0))


def series(folder: Path, number: int, description: str, grid: Grid = GRID, **tags: object) -> None:
    write_series(
        folder / f"s{number}", grid, positions(grid), number=number,
        SeriesDescription=description, **tags,
    )  # fmt: skip


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    series(folder, 1, "3-plane loc")
    series(folder, 2, "AX T1")
    series(folder, 3, "AX T2")
    series(folder, 4, "AX FLAIR")
    series(folder, 5, "AX DWI")
    series(folder, 6, "ADC", ImageType=["DERIVED", "PRIMARY", "ADC"])
    series(folder, 7, "AX T1 POST", ContrastBolusAgent="GADAVIST")
    series(folder, 8, "SAG T1 POST", COARSE)
    series(folder, 9, "AX T1 POST MPR", ImageType=["DERIVED", "SECONDARY", "MPR"])
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "report.txt").write_text("not an image")
    return folder


def by_title(found: DiscoveredCase) -> dict[str, object]:
    return {source.title.split(" (")[0]: source for source in found.sources}


def test_the_wanted_ones_are_proposed_and_the_others_say_why_not(patient: Path) -> None:
    found = discover_volumes(patient)
    assert found.problems == ()
    told = by_title(found)
    proposed = {title: source.modality for title, source in told.items() if source.modality}
    assert proposed == {
        "Series 2": "T1", "Series 3": "T2", "Series 4": "FLAIR", "Series 7": "T1CE"
    }  # fmt: skip
    assert [source.modality is None for source in found.sources] == [False] * 4 + [True] * 5
    for title, reason in {
        "Series 1": "localiser",
        "Series 5": "diffusion-weighted",
        "Series 6": "apparent diffusion coefficients",
        "Series 8": "could be T1CE as well; Series 7 is proposed",
        "Series 9": "could be T1CE as well; Series 7 is proposed",
    }.items():
        assert reason in told[title].exclusion_reason
    assert "T1CE is Series 7 (AX T1 POST) (2 more could be)." in [
        notice.text for notice in found.assumptions
    ]


def test_the_user_decides(patient: Path) -> None:
    case = open_case(patient, overrides={"T1CE": Path("#8"), "T2": patient / "s9"})
    assert case.sources["T1CE"].title == "Series 8 (SAG T1 POST)"
    assert case.sources["T2"].title == "Series 9 (AX T1 POST MPR)"
    assert case.images["T1CE"].shape == case.images["FLAIR"].shape
    with pytest.raises(InputError, match="no volume that is series 77"):
        open_case(patient, overrides={"T1CE": Path("#77")})
    with pytest.raises(InputError, match=r"holds 9 volumes .* name one for T2"):
        open_case(patient, overrides={"T2": patient})


def test_a_derived_series_serves_where_there_is_no_other(tmp_path: Path) -> None:
    series(tmp_path, 1, "T2", ImageType=["DERIVED", "SECONDARY"])
    found = discover_volumes(tmp_path)
    assert found.sources[0].modality == "T2"
    assert "though it is derived from other images" in found.assumptions[0].text


def test_nobody_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "MUSTER_ERIKA_2024"
    series(folder, 1, "T2 for Müster", PatientName="Müster^Erika")
    series(folder, 2, "FLAIR", PatientName="Müster^Erika")
    case = open_case(folder)
    assert case.name == "case"
    told = [*case.assumptions, *case.notices, *(source.title for source in case.sources.values())]
    assert not any("uster" in text or "471142" in text for text in told)
    assert case.sources["T2"].title == "Series 1 (MR)"
    series(tmp_path / "P471142", 2, "FLAIR")
    assert open_case(tmp_path / "P471142").name == "case"
    series(tmp_path / "left frontal", 2, "FLAIR")
    assert open_case(tmp_path / "left frontal").name == "left frontal"


def test_several_patients_are_no_case(tmp_path: Path) -> None:
    series(tmp_path, 1, "T2")
    series(tmp_path, 2, "FLAIR", PatientID="another")
    with pytest.raises(InputError, match="holds series of 2 patients"):
        discover_volumes(tmp_path)


def test_the_fuller_examination_is_proposed(tmp_path: Path) -> None:
    for number, (name, study) in enumerate(
        [("T1", "1.2.1"), ("T2", "1.2.1"), ("FLAIR", "1.2.1"), ("T1", "1.2.2")], 1
    ):
        series(tmp_path, number, name, StudyInstanceUID=study)
    told = by_title(discover_volumes(tmp_path))
    assert told["Series 4"].exclusion_reason == "of another examination"
    assert told["Series 1"].modality == "T1"


def test_echoes_are_volumes_of_their_own_time_points_and_b_values_are_none(tmp_path: Path) -> None:
    uid = generate_uid()
    for echo in (15.0, 95.0):
        series(tmp_path / f"echo{echo}", 1, "DUAL ECHO T2", EchoTime=echo, SeriesInstanceUID=uid)
    found = discover_volumes(tmp_path)
    assert {source.title.split(", ")[1]: source.modality for source in found.sources} == {
        "echo at 15 ms": None, "echo at 95 ms": "T2"
    }  # fmt: skip
    uid = generate_uid()
    for time in range(3):
        series(tmp_path / f"t{time}", 2, "FLAIR", SeriesInstanceUID=uid)
    uid = generate_uid()
    for b in (0.0, 1000.0):
        series(tmp_path / f"b{b}", 3, "FLAIR", SeriesInstanceUID=uid, DiffusionBValue=b)
    write_enhanced(tmp_path / "e" / "1", GRID, positions(GRID), number=4, times=5)
    skipped = discover_volumes(tmp_path).skipped
    assert (
        "Series 2 (FLAIR) is left out: it is 4-D, 3 time points; one volume is needed." in skipped
    )
    assert "Series 3 (FLAIR) is left out: it is diffusion-weighted, with 2 b-values." in skipped
    assert any("Series 4" in said and "4-D, 5 time points" in said for said in skipped)


def test_what_is_no_volume_is_refused_by_name(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "h", GRID, positions(GRID), number=1, SeriesDescription="T1")
    for path in paths[2:6]:
        path.unlink()
    fan = generate_uid()
    for k in range(6):
        angle = k * 0.3
        turn = (np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1)
        one = Grid((12, 10, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), turn)
        series(tmp_path / f"f{k}", 2, "T2", one, SeriesInstanceUID=fan)
    series(tmp_path / "one", 3, "FLAIR", Grid((12, 10, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    (tmp_path / "broken").write_bytes(b"\0" * 128 + b"DICM" + b"\x08\0\x05\0CS\xff\xff" * 9)
    with pytest.raises(InputError, match="holds no DICOM volume"):
        discover_volumes(tmp_path)
    series(tmp_path, 4, "T2")
    skipped = " ".join(discover_volumes(tmp_path).skipped)
    assert "Series 1 (T1) is left out: it is not complete, 4 slices are missing" in skipped
    assert "Series 2 (T2) is left out: it is not parallel slices." in skipped
    assert "Series 3 (FLAIR) is left out: it is a single image." in skipped
    assert "1 file is damaged and left out." in skipped


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    paths = write_series(tmp_path, GRID, positions(GRID), number=3, SeriesDescription="T2")
    paths[2].write_bytes(paths[2].read_bytes()[:-60])
    with pytest.raises(InputError, match=r"Series 3 \(T2\): one of its files is damaged"):
        open_case(tmp_path)


def test_copies_of_a_file_count_once(tmp_path: Path) -> None:
    for path in write_series(tmp_path, GRID, positions(GRID), SeriesDescription="T2"):
        path.with_suffix(".copy").write_bytes(path.read_bytes())
    assert open_case(tmp_path).assumptions == ("T2 is Series 1 (T2).",)


def test_pet_and_ct_of_one_examination(tmp_path: Path) -> None:
    ct = Grid((24, 20, 16), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    wide = Grid((12, 10, 8), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5))
    volume = positions(ct) - 1000
    write_series(tmp_path / "a", ct, volume, "CT", 1, SeriesDescription="CT WB")
    write_series(
        tmp_path / "b", ct, volume, "CT", 2, SeriesDescription="CT chest", FrameOfReferenceUID="1.9"
    )
    radio = {"RadiopharmaceuticalInformationSequence": tracer()}
    write_series(
        tmp_path / "c", wide, positions(wide), "PT", 3, SeriesDescription="AC", **PET, **radio
    )
    bare = PET | {"CorrectedImage": ["DECY"]}
    write_series(tmp_path / "d", wide, positions(wide), "PT", 4, SeriesDescription="NAC", **bare)
    case = open_case(tmp_path)
    assert case.reference == "PET"
    assert case.units == {"PET": "SUV", "CT": "HU"}
    assert case.sources["CT"].title == "Series 1 (CT WB)"
    assert any(
        "not corrected for attenuation" in s.exclusion_reason
        for s in discover_volumes(tmp_path).sources
    )


def test_a_pet_that_is_not_in_suv_is_refused_where_suv_is_wanted(tmp_path: Path) -> None:
    tags = {k: v for k, v in PET.items() if k != "PatientWeight"}
    write_series(
        tmp_path, GRID, positions(GRID), "PT",
        RadiopharmaceuticalInformationSequence=tracer(), **tags,
    )  # fmt: skip
    case = open_case(tmp_path)
    with pytest.raises(
        InputError, match=r"Bq/mL \(the patient's weight is missing\).* requires SUV"
    ):
        preprocess(case, ("PET",), (4.0, 4.0, 4.0), {"PET": "suv"}, ProgressMonitor())
    preprocess(case, ("PET",), (4.0, 4.0, 4.0), {"PET": "zscore"}, ProgressMonitor())


def test_progress_and_cancel(patient: Path) -> None:
    seen: list[Progress] = []
    discover_volumes(patient, monitor=ProgressMonitor(report=seen.append))
    headers = [step for step in seen if step.stage == "Reading DICOM headers"]
    assert headers[0].total == 68
    assert [step.done for step in headers] == list(range(0, 68, 10))
    monitor = ProgressMonitor(report=lambda step: monitor.stop.set() if step.done >= 20 else None)
    with pytest.raises(CancelledError):
        discover_volumes(patient, monitor=monitor)


def test_one_file(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "IM1", GRID, positions(GRID), SeriesDescription="FLAIR")
    assert open_case(path).images["FLAIR"].shape == GRID.shape
    (slice_, *_) = write_series(tmp_path / "s", GRID, positions(GRID), SeriesDescription="T1")
    with pytest.raises(InputError, match=r"Series 1 \(T1\) is left out: it is a single image"):
        discover_volumes(slice_)


HEADERS = """
import sys
from pathlib import Path
sys.modules.update({hidden!r})
from napari_ciml.cases.discovery import discover_volumes
try:
    sources = discover_volumes(Path({path!r})).sources
    print(len(sources), "SimpleITK" in sys.modules, "torch" in sys.modules)
except Exception as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [({}, "9 False False"), ({"pydicom": None}, 'pip install "napari-ciml[dicom]"')],
)
def test_headers_need_no_simpleitk_and_without_pydicom_a_sentence_says_so(
    hidden: dict[str, None], expected: str, patient: Path
) -> None:
    code = HEADERS.format(hidden=hidden, path=str(patient))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert expected in done.stdout
