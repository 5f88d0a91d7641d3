"""What the report says, against hand-made results, and that both forms say it."""

import base64
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from helpers.cases import write_case
from helpers.checkpoints import tiny_info
from napari_ciml.cases.case import Case, open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.decomposition.model import Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import InputError
from napari_ciml.explanation.result import Explanation
from napari_ciml.export.report import Report, ReportContext, compose_report
from napari_ciml.export.report_html import to_html, write_report_html
from napari_ciml.export.report_page import write_report_pdf
from napari_ciml.inference.plan import make_plan
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.lesions import RegionSummary, detect_lesions
from napari_ciml.metrics.diameters import Diameters

GRID = Grid((20, 24, 16), (2.0, 2.0, 5.0), (0.0, 0.0, 100.0))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return open_case(write_case(tmp_path / "Doe Jane", GRID))


@pytest.fixture
def segmentation(case: Case) -> Segmentation:
    """Edema in slices 4 to 9, largest in slice 6; a core in slice 7; nothing enhances."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4:10, 10:12, 8:10] = 2
    labels[6, 8:14, 6:12] = 2
    labels[7, 10, 8] = 1
    whole = PRESETS["brats2020"]
    return Segmentation(
        label_map=labels,
        probabilities={},
        volumes_ml={},
        plan=make_plan(tiny_info(whole), whole, frozenset()),
        checkpoint="c" * 64,
        model_input=None,
        pair_probabilities={},
        settings=SegmentSettings(),
        cache=None,
        case=None,
        engine="torch",
        device="cpu",
        seconds={},
        peak_memory_mib=1.0,
        notices=("Tiles were made smaller.",),
    )


@pytest.fixture
def explanation(segmentation: Segmentation) -> Explanation:
    """T2 is the strongest for WT inside WT; T1 is stronger, but outside."""
    names = [
        (pair, aux)
        for pair in segmentation.plan.pairs
        for aux in segmentation.plan.auxiliaries(pair.primary)
    ]
    maps = {name: np.zeros(GRID.shape, np.float32) for name in names}
    maps[Pair("FLAIR", "WT"), "T1"][2] = 1
    maps[Pair("FLAIR", "WT"), "T2"][5, 10:12, 8:10] = 0.5
    return Explanation(maps, dict.fromkeys(names, 0.25), 1.0, None)


def composed(case: Case, segmentation: Segmentation, *more: object) -> Report:
    return reported(case, segmentation, segmentation.label_map, *more)


def reported(case: Case, segmentation: Segmentation, labels: np.ndarray, *more: object) -> Report:
    regions = segmentation.plan.decomposition.regions
    found = detect_lesions(labels, regions, case.grid, segmentation)
    return compose_report(case, segmentation, labels, found.regions, *more)


def test_volumes_and_slices_are_those_of_the_label_map(
    case: Case, segmentation: Segmentation
) -> None:
    report = composed(case, segmentation)
    # WT: 4 voxels in five slices and 36 in one, 20 cubic millimetres each.
    assert [row[:3] for row in report.regions.rows] == [
        ("WT", "1.1", "1"),
        ("TC", "0.0", "1"),
        ("ET", "0.0", "0"),
    ]
    assert report.regions.rows[2][3:] == ("-", "-")
    wt, tc = report.pictures
    assert (wt.title, tc.title) == ("WT on FLAIR", "TC on T1")
    assert wt.caption == "slice 7 of 16 (z = 130 mm), 1.4 cm²"
    assert tc.caption == "slice 8 of 16 (z = 135 mm), 0.0 cm²"
    assert (np.count_nonzero(wt.mask), np.count_nonzero(tc.mask)) == (36, 1)
    assert "No ET was found." in report.notices
    assert "Tiles were made smaller." in report.notices


def test_regions_are_told_with_their_lesions_and_their_doubt(
    case: Case, segmentation: Segmentation
) -> None:
    wt = RegionSummary("WT", 1.12, 2, 0, Diameters(12.34, 5.0), 61.7, 0.456, 0.0321, None, {})
    report = compose_report(case, segmentation, segmentation.label_map, [wt])
    assert report.regions.columns[1:] == (
        "mL (± over samples)",
        "Lesions",
        "Largest (mm)",
        "Uncertainty (bits)",
    )
    assert report.regions.rows == (("WT", "1.1 ± 0.03", "2", "12.3 x 5.0", "0.46"),)
    text = to_html(report)
    assert "12.3 x 5.0" in text
    assert "0.46" in text


def test_what_was_edited_is_told(case: Case, segmentation: Segmentation) -> None:
    assert "Edited" not in dict(composed(case, segmentation).facts)
    settings = SegmentSettings(thresholds={"ET": 0.3}, postprocess=False)
    report = composed(case, replace(segmentation, settings=settings))
    said = "ET from a probability of 0.30 on; no postprocessing"
    assert dict(report.facts)["Edited"] == said


def test_the_map_shown_is_the_strongest_inside_the_region(
    case: Case, segmentation: Segmentation, explanation: Explanation
) -> None:
    (shown,) = composed(case, segmentation, explanation).maps
    assert shown.title == "T2 for FLAIR WT"
    assert shown.caption == "slice 6 of 16 (z = 125 mm), weight 0.25"
    assert shown.overlay.max() == 0.5


def test_a_corrected_label_map_is_what_is_reported(case: Case, segmentation: Segmentation) -> None:
    labels = np.zeros_like(segmentation.label_map)
    labels[0] = 4
    report = reported(case, segmentation, labels, None, ReportContext(corrected=True))
    assert report.regions.rows[2][:2] == ("ET", "9.6")
    assert ("Label map", "corrected by hand") in report.facts


def test_it_says_how_it_was_made_and_names_nobody(
    case: Case, segmentation: Segmentation, explanation: Explanation, tmp_path: Path
) -> None:
    context = ReportContext(checkpoint="tiny", day=date(2024, 2, 29))
    told = replace(case, assumptions=("T2 is Series 1 (Doe Jane).",), notices=("T2 was moved.",))
    report = composed(told, segmentation, explanation, context)
    text = write_report_html(tmp_path / "report.html", report).read_text()
    assert "T2 was moved." in text
    for said in ("tiny", "c" * 64, "2024-02-29", "not a medical device", "napari-ciml 0"):
        assert said in text
    assert "Doe" not in text
    assert str(tmp_path) not in text
    assert "Doe Jane" in to_html(
        composed(case, segmentation, None, ReportContext(subject="Doe Jane"))
    )


def test_html_needs_no_other_file(
    case: Case, segmentation: Segmentation, explanation: Explanation
) -> None:
    text = to_html(composed(case, segmentation, explanation))
    sources = re.findall(r'src="([^"]*)"', text)
    assert len(sources) == 2 + 1 + 1  # regions, map, bars
    for source in sources:
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    assert "http" not in text
    assert "<script" not in text


def test_the_pdf_is_one_page_whatever_there_is_to_say(
    case: Case, segmentation: Segmentation, explanation: Explanation, tmp_path: Path
) -> None:
    much = replace(segmentation, notices=tuple(f"Notice number {k} of many." for k in range(99)))
    path = write_report_pdf(tmp_path / "report.pdf", composed(case, much, explanation))
    pages = re.findall(rb"/Type /Page\b", path.read_bytes())
    assert len(pages) == 1
    with pytest.raises(InputError, match="cannot be written"):
        write_report_pdf(tmp_path / "no" / "report.pdf", composed(case, segmentation))


def test_markup_in_a_name_is_text(case: Case, segmentation: Segmentation) -> None:
    text = to_html(composed(case, segmentation, None, ReportContext(subject="<b>x</b>")))
    assert "<b>x</b>" not in text
