from types import SimpleNamespace

import numpy as np
import pytest

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import LABEL_CONVENTIONS
from napari_ciml.decomposition.model import Pair
from napari_ciml.inference.result import Uncertainty
from napari_ciml.inference.uncertainty_maps import disagreement, entropy, uncertainty_map
from napari_ciml.lesions import MOST, detect_lesions
from napari_ciml.session.findings import Findings

REGIONS = LABEL_CONVENTIONS["brats2020"]
GRID = Grid((40, 30, 20), (1.0, 2.0, 3.0), (-10.0, 5.0, 7.0))
COARSE = Grid((20, 15, 10), (2.0, 4.0, 6.0), (-9.5, 6.0, 8.5))


def label_map() -> np.ndarray:
    """Two tumours: a large one with a core, a small one of edema only."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4:14, 4:20, 4:20] = 2
    labels[6:12, 8:16, 8:16] = 1
    labels[8:10, 10:14, 10:14] = 4
    labels[14:18, 22:26, 28:36] = 2
    return labels


def run_on(labels: np.ndarray) -> SimpleNamespace:
    """A run in which FLAIR sees all of WT, and T2 only the large tumour."""
    everything = np.isin(labels, (1, 2, 4)).astype(np.float32)
    flair = everything[::2, ::2, ::2] * np.float32(0.9)
    t2 = flair.copy()
    t2[:, :, 12:] = 0
    whole = everything * np.float32(0.9)
    whole[:, :, 24:] *= np.float32(0.5)
    return SimpleNamespace(
        probabilities={"WT": whole},
        uncertainty=None,
        plan=SimpleNamespace(weight=lambda _: 1.0),
        pair_probabilities={Pair("FLAIR", "WT"): flair, Pair("T2", "WT"): t2},
        model_input=SimpleNamespace(grid=COARSE, foreground=np.ones(COARSE.shape, bool)),
    )


def test_lesions_are_measured_and_the_doubtful_one_comes_first() -> None:
    labels = label_map()
    found = detect_lesions(labels, REGIONS, GRID, run_on(labels))
    doubtful, large = [lesion for lesion in found.lesions if lesion.region == "WT"]
    assert found.lesions[0] is doubtful
    assert doubtful.volume_ml == pytest.approx(4 * 4 * 8 * 6 / 1000)
    assert doubtful.diameters.longest_mm == pytest.approx(np.hypot(8, 8))
    assert doubtful.probability == pytest.approx(0.45)
    assert doubtful.uncertainty == pytest.approx(entropy(np.array([0.45]))[0], abs=1e-5)
    assert doubtful.seen_by["T2"] == 0
    assert doubtful.seen_by["FLAIR"] > 0.8
    assert doubtful.reasons == ("not predicted by T2 (0%)", "low mean probability (0.45)")
    assert large.volume_ml == pytest.approx(10 * 16 * 16 * 6 / 1000)
    assert large.reasons == ()
    assert min(large.seen_by.values()) > 0.8
    assert labels[doubtful.voxel] == 2
    z, y, x = doubtful.voxel
    assert doubtful.point == (x - 10.0, 2.0 * y + 5, 3.0 * z + 7)
    assert doubtful.contains((15, 23, 30))
    assert not doubtful.contains((15, 23, 36))
    assert not doubtful.contains((5, 5, 5))


def test_regions_are_summed_up() -> None:
    labels = label_map()
    whole, core, enhancing = detect_lesions(labels, REGIONS, GRID, run_on(labels)).regions
    assert (whole.lesions, core.lesions, enhancing.lesions) == (2, 1, 1)
    assert whole.volume_ml == pytest.approx((10 * 256 + 4 * 32) * 6 / 1000)
    assert whole.diameters.longest_mm == pytest.approx(np.hypot(16, 32))
    # A rectangle of 16 x 32 mm: 35.8 x 17.9 mm across; a square of 8 mm: 11.3 x 11.3 mm.
    assert whole.sum_of_products_mm2 == pytest.approx(640 + 128)
    # 4 x 8 mm: RANO does not measure it.
    assert enhancing.sum_of_products_mm2 == 0
    assert whole.agreement == pytest.approx(2 * 320 / (320 + 320 + 2 * 2 * 4))
    assert whole.segmentor_ml["T2"] == pytest.approx(5 * 8 * 8 * 48 / 1000)
    assert core.uncertainty is None
    assert core.agreement is None


def test_why_a_lesion_should_be_looked_at() -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[0:3, 5:15, 5:15] = 2
    labels[10, 10, 10] = 4
    labels[1, 8, 8] = 4
    by_region = {
        (x.region, x.voxel): x.reasons for x in detect_lesions(labels, REGIONS, GRID).lesions
    }
    alone = by_region["ET", (10, 10, 10)]
    assert alone == ("smaller than 0.1 mL", "outside of WT")
    assert by_region["ET", (1, 8, 8)] == ("smaller than 0.1 mL",)
    edge = next(v for (region, voxel), v in by_region.items() if region == "WT" and voxel[0] < 3)
    assert edge == ("cut off by the image border",)


def test_nothing_and_far_too_much() -> None:
    empty = detect_lesions(np.zeros(GRID.shape, np.uint8), REGIONS, GRID)
    assert empty.lesions == ()
    assert [summary.volume_ml for summary in empty.regions] == [0, 0, 0]
    dust = np.zeros(GRID.shape, np.uint8)
    dust[::2, ::2, ::2] = 2
    dust[5:9, 5:9, 5:9] = 2
    found = detect_lesions(dust, REGIONS[:1], GRID)
    assert len(found.lesions) == MOST
    assert found.regions[0].unlisted == found.regions[0].lesions - MOST > 1000
    assert max(lesion.volume_ml for lesion in found.lesions) > 0.3


def test_doubt_by_hand() -> None:
    assert entropy(np.array([0, 0.5, 1, 0.11])).tolist() == pytest.approx([0, 1, 0, 0.5], abs=1e-3)
    a, b, c = np.array([0.2, 0.9]), np.array([0.5, 0.9]), np.array([0.1, 0.8])
    assert disagreement([a, b]).tolist() == pytest.approx([0.15, 0])
    assert disagreement([a, b, c]).tolist() == pytest.approx([0.17, 0.047], abs=1e-3)
    run = run_on(label_map())
    case = SimpleNamespace(grid=GRID)
    shown = uncertainty_map(run, case, "WT", "disagreement")
    assert shown.shape == GRID.shape
    assert shown[16, 24, 32] == pytest.approx(0.45)
    assert shown[9, 12, 12] == 0
    parts = {"entropy": 0.7, "spread": 0.2, "mean": 0.5, "disagreement": 0.1}
    maps = {part: {"WT": shown * 0 + value} for part, value in parts.items()}
    sampled = Uncertainty(3, 0, **maps, volumes_ml={"WT": (10.0, 13.0, 16.0)})
    assert uncertainty_map(run, case, "WT", "spread") is None
    run.uncertainty = sampled
    assert uncertainty_map(run, case, "WT", "spread")[0, 0, 0] == pytest.approx(0.2)
    found = detect_lesions(label_map(), REGIONS, GRID, run)
    assert found.regions[0].uncertainty == pytest.approx(0.7)
    assert found.regions[0].spread_ml == pytest.approx(3.0)
    assert found.regions[0].ml_in_words.endswith(" ± 3")
    means = [lesion.uncertainty for lesion in found.lesions if lesion.region == "WT"]
    assert means == pytest.approx([0.7, 0.7])
    del run.pair_probabilities[Pair("T2", "WT")]
    assert uncertainty_map(run, case, "WT", "disagreement") is None


def test_a_mark_stays_with_its_lesion() -> None:
    findings, heard = Findings(), []
    findings.reset(GRID)
    findings.marks_changed.connect(lambda: heard.append(findings.marks))
    labels = label_map()
    findings.set_inventory(detect_lesions(labels, REGIONS, GRID, run_on(labels)))
    first = findings.review_queue()[0]
    findings.mark(first, True)
    assert findings.seen(first)
    assert findings.review_queue()[-1] is first
    assert len(heard) == 1
    # A voxel more, after another run or a stroke: still seen. Half as large: to be seen again.
    labels[14, 22, 27] = 2
    again = detect_lesions(labels, REGIONS, GRID, run_on(labels))
    assert sum(findings.seen(lesion) for lesion in again.lesions) == 1
    labels[14:16, 22:26, 27:36] = 0
    smaller = detect_lesions(labels, REGIONS, GRID, run_on(labels))
    assert not any(findings.seen(lesion) for lesion in smaller.lesions)
    findings.mark(first, False)
    assert findings.marks == ()
    marks = heard[0]
    findings.reset(GRID)
    findings.set_marks(marks)
    assert findings.seen(first)
