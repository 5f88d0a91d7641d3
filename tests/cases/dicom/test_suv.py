"""SUV against values computed by hand.

300 MBq injected at 9:00, a scan at 10:00, F-18 (6586.2 s), 75 kg. What is left of the dose is
300e6 x 2^(-3600 / 6586.2) = 205,389,876 Bq, so 1 Bq/mL is 75,000 / 205,389,876 = 3.651592e-4 SUV.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.sequence import Sequence

from helpers.dicom_files import PET, positions, tracer, write_enhanced, write_series
from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.geometry import Grid

GRID = Grid((6, 5, 4), (4.0, 4.0, 3.0), (0.0, 0.0, 0.0))
START = 3.651592e-4
ADMIN = 75_000 / 300e6


def pet(folder: Path, radio: Sequence | None = None, private: Any = None, **tags: Any) -> Case:
    header = {k: v for k, v in (PET | tags).items() if v is not None}
    write_series(
        folder, GRID, positions(GRID), "PT", private=private,
        RadiopharmaceuticalInformationSequence=tracer() if radio is None else radio, **header,
    )  # fmt: skip
    return open_case(folder)


def factor(case: Case) -> float:
    """Return by what the stored values were multiplied, everywhere."""
    share = case.images["PET"].ravel()[1:] / positions(GRID).ravel()[1:]
    np.testing.assert_allclose(share, share[0], rtol=1e-5)
    return float(share[0])


@pytest.mark.parametrize(
    ("tags", "radio", "expected"),
    [
        ({}, {}, START),
        ({"DecayCorrection": "ADMIN"}, {}, ADMIN),
        # Made anew at noon: the acquisition counts.
        ({"SeriesTime": "120000"}, {}, START),
        # The series began ten minutes before this bed: 300e6 x 2^(-3000 / 6586.2).
        ({"SeriesTime": "095000"}, {}, 75_000 / (300e6 * 2 ** (-3000 / 6586.2))),
        # Injected on the day before, at 23:30; the scan was 60 minutes later.
        (
            {"SeriesTime": "003000", "AcquisitionTime": "003000"},
            {"RadiopharmaceuticalStartTime": "233000"},
            START,
        ),
        ({}, {"RadiopharmaceuticalStartDateTime": "20240131090000.000"}, START),
        # Dates were shifted for the series, not for the injection: the time of day is left.
        ({}, {"RadiopharmaceuticalStartDateTime": "20190517090000"}, START),
        ({"Units": "GML"}, {}, 1.0),
        ({"Units": "GML", "SUVType": "BW", "PatientWeight": None}, {}, 1.0),
    ],
)
def test_by_the_tags(
    tags: dict[str, Any], radio: dict[str, Any], expected: float, tmp_path: Path
) -> None:
    case = pet(tmp_path / "s", tracer(**radio), **tags)
    assert factor(case) == pytest.approx(expected, rel=1e-5)
    assert case.units["PET"] == "SUV"


def test_philips_counts(tmp_path: Path) -> None:
    creator = {(0x7053, 0x0010): ("LO", "Philips PET Private Group")}
    suv = creator | {(0x7053, 0x1000): ("DS", "0.00042")}
    assert factor(pet(tmp_path / "a", private=suv, Units="CNTS")) == pytest.approx(4.2e-4)
    activity = creator | {(0x7053, 0x1000): ("DS", "0"), (0x7053, 0x1009): ("DS", "1.7")}
    case = pet(tmp_path / "b", private=activity, Units="CNTS")
    assert factor(case) == pytest.approx(1.7 * START, rel=1e-5)
    case = pet(tmp_path / "c", Units="CNTS")
    assert case.units["PET"] == "counts"


def test_ge_tells_when_the_scan_began(tmp_path: Path) -> None:
    private = {
        (0x0009, 0x0010): ("LO", "GEMS_PETD_01"),
        (0x0009, 0x100D): ("DT", "20240131100000.00"),
    }
    late = {"SeriesTime": "120000", "AcquisitionTime": "101500"}
    assert factor(pet(tmp_path / "s", private=private, **late)) == pytest.approx(START, rel=1e-5)


@pytest.mark.parametrize(
    ("tags", "radio", "reason"),
    [
        ({"PatientWeight": None}, {}, "the patient's weight is missing"),
        ({"PatientWeight": 0}, {}, "the patient's weight is missing"),
        ({"PatientWeight": 7500}, {}, "the patient's weight (7500) cannot be"),
        ({}, {"RadionuclideTotalDose": None}, "the injected dose is missing"),
        ({}, {"RadionuclideTotalDose": 300.0}, "the injected dose (300) cannot be"),
        ({}, {"RadionuclideHalfLife": None}, "the half life is missing"),
        ({}, {"RadiopharmaceuticalStartTime": None}, "the time of the injection is missing"),
        ({}, {"RadiopharmaceuticalStartTime": "101500"}, "does not fit that of the scan"),
        ({"DecayCorrection": "NONE"}, {}, "its decay correction is NONE"),
    ],
)
def test_missing_or_implausible_values_leave_the_unit_bq_per_ml(
    tags: dict[str, Any], radio: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    case = pet(tmp_path / "s", tracer(**radio), **tags)
    assert factor(case) == 1.0
    assert case.units["PET"] == "Bq/mL"
    (notice,) = [text for text in case.notices if reason in text]
    assert notice.startswith("PET is shown in Bq/mL")


def test_other_suv_is_not_taken_for_it(tmp_path: Path) -> None:
    case = pet(tmp_path / "s", Units="GML", SUVType="LBM")
    assert case.units["PET"] == "SUV (LBM)"


def test_enhanced(tmp_path: Path) -> None:
    tags = {k: v for k, v in PET.items() if k not in ("Units", "DecayCorrection")}
    write_enhanced(
        tmp_path / "s" / "a", GRID, positions(GRID), "PT", Units="BQML", DecayCorrected="YES",
        DecayCorrectionDateTime="20240131100000",
        RadiopharmaceuticalInformationSequence=tracer(
            RadiopharmaceuticalStartDateTime="20240131090000"
        ), **tags,
    )  # fmt: skip
    assert factor(open_case(tmp_path / "s")) == pytest.approx(START, rel=1e-5)
