import json
from pathlib import Path

import numpy as np
import pytest

from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.research.bench.config import QUARTER, BenchConfig
from napari_ciml.research.bench.report import (
    KEYS,
    BenchResults,
    as_json,
    dice_by_region,
    figures,
    ratio,
)
from napari_ciml.research.bench.table import GOALS, render
from napari_ciml.research.bench.window import percentile

MENU_SUFFIX = {
    "seconds": {"read": 1.0, "load": 1.0, "segment": 4.0, "write": 2.0, "total": 8.0},
    "stages": {"network": 3.0},
    "kept_mib": {"messages": 157.0, "states": 600.0, "answers": 80.0},
    "peak_memory_mib": 900.0,
    "precision": "bfloat16",
    "engine": "openvino",
    "network_gflop": 600.0,
    "foreground": [80, 112, 96],
    "maps": {"count": 18, "seconds": 3.0},
    "whatif": {"message": "FLAIR:T1", "seconds": 0.5, "seconds_threshold": 0.1},
    "again": {"seconds": {"total": 7.0}, "stages": {"network": 2.0}},
    "growth": [{"size": "1x", "voxels": 1_000_000, "seconds": 1.0}],
}
RESULTS = {
    "prepare": {
        "source": "a phantom",
        "device": "cpu",
        "threads": 2,
        "matrix_peak_gflops": {"float32": 200.0, "bfloat16": 400.0},
    },
    "cold": {**MENU_SUFFIX, "seconds": {"total": 20.0}, "peak_memory_mib": 1200.0},
    "warm": MENU_SUFFIX,
}
PEERS = {
    "torch": {**MENU_SUFFIX, "engine": "torch", "seconds": {"total": 12.0}},
    "monai 0.5": {"seconds": {"total": 240.0}, "peak_memory_mib": 2000.0},
    "monai 0.25": {"seconds": {"total": 80.0}, "peak_memory_mib": 2000.0},
    "nnunet": {"seconds": {"total": 16.0}, "peak_memory_mib": 3000.0},
    "nnunet mirrored": {
        "seconds": {"total": 100.0},
        "peak_memory_mib": 3000.0,
        "estimate": "one tile timed (1.6 s), times 64",
    },
    "gradcam": {"seconds": 300.0, "runs_needed": 144, "runs_timed": 2},
    "window": {"p99_ms": 12.5},
}


def findings(with_peers: bool) -> BenchResults:
    return BenchResults(
        config=BenchConfig(folder=Path("gone"), extent=QUARTER, base_filters=32, quick=True),
        machine={"processor": "a processor", "cores": 2, "load_before": 0.5},
        results=RESULTS | (PEERS if with_peers else {}),
        missing={} if with_peers else dict.fromkeys(PEERS, "left out on request"),
        dice={"monai 0.5": {"WT": 0.999, "TC": 0.996, "ET": 1.0}} if with_peers else {},
    )


def test_the_figures_are_the_ratios_they_say() -> None:
    assert figures(findings(True)) == {
        "speedup_monai_warm": 30.0,
        "speedup_monai_cold": 12.0,
        "speedup_nnunet": 12.5,
        "dice_vs_monai": 0.996,
        "peak_share_network": 0.75,  # 600 GFLOP in 2 s, of 400 GFLOP/s
        "maps_over_segment": 0.75,
        "whatif_over_segment": 0.125,
        "event_loop_p99_ms": 12.5,
        "peak_memory_mib": 1200.0,
    }
    whole = as_json(findings(True))
    assert whole["peak_share_of_float32"] == 1.5
    assert whole["speedup_monai_torch"] == 20.0
    assert whole["kept_mib"]["messages"] == 157.0
    assert whole["speedup_nnunet_without_mirroring"] == 2.0
    assert whole["speedup_monai_quarter_overlap"] == 10.0
    assert whole["speedup_gradcam"] == 100.0


def test_what_was_not_measured_is_null_and_said_why() -> None:
    whole = json.loads(json.dumps(as_json(findings(False))))
    nulls = {key for key in KEYS if whole[key] is None}
    assert nulls == {
        "speedup_monai_warm",
        "speedup_monai_cold",
        "speedup_nnunet",
        "dice_vs_monai",
        "event_loop_p99_ms",
    }
    assert whole["not_measured"]["nnunet"] == "left out on request"
    assert set(GOALS) == set(KEYS) == set(figures(findings(False)))


@pytest.mark.parametrize("with_peers", [True, False])
def test_the_table_has_a_line_for_every_contender_and_figure(with_peers: bool) -> None:
    text = render(findings(with_peers))
    assert text.count("nnU-Net, ") == 2
    for words, _, _ in GOALS.values():
        assert words in text
    assert ("left out on request" in text) is not with_peers
    assert ("one tile timed (1.6 s), times 64" in text) is with_peers
    assert "128 x 128 x 128 voxels, foreground 96 x 112 x 80, C = 32" in text


def test_aims_are_judged() -> None:
    lines = render(findings(True)).splitlines()
    assert next(line for line in lines if "MONAI, compiled before" in line).endswith("met")
    assert next(line for line in lines if line.startswith("all maps /")).endswith("missed")
    assert next(line for line in lines if line.startswith("what-if /")).endswith("<= 0.25  met")


def test_ratio_of_nothing_is_nothing() -> None:
    assert ratio(3.0, 4.0) == 0.75
    assert ratio(None, 4.0) is None
    assert ratio(3.0, None) is None
    assert ratio(3.0, 0.0) is None


def test_dice_by_region() -> None:
    a, b = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    a[0, 0, :4] = 2
    b[0, 0, 2:4] = 2
    b[0, 0, 3] = 4
    found = dice_by_region(a, b, PRESETS["brats2020"].regions)
    assert found == {"WT": pytest.approx(2 / 3, abs=1e-5), "TC": 0.0, "ET": 0.0}


def test_percentile() -> None:
    values = [float(k) for k in range(1, 101)]
    assert percentile(values, 99) == 99
    assert percentile(values, 50) == 50
    assert percentile([7.0], 99) == 7
