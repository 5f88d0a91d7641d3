"""The command, on a volume so small that it takes seconds."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from napari_ciml.cli import main
from napari_ciml.errors import CancelledError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.config import QUARTER, BenchConfig
from napari_ciml.research.bench.processes import Answer, run_contender
from napari_ciml.research.bench.report import KEYS

TINY = ("bench", "--edge", "32", "--base-filters", "16")


@pytest.fixture
def nobody_left() -> Iterator[None]:
    """See that no process is left that a test began; the display of the tests is one too."""
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) == before


def test_a_tiny_run_prints_json_and_nothing_else(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "bench.json"
    left_out = ("--skip", "window", "nnunet", "torch")
    assert main([*TINY, "--json", *left_out, "--output", str(file)]) == 0
    told = capfd.readouterr()
    found = json.loads(told.out)
    assert json.loads(file.read_text()) == found
    assert list(found)[: len(KEYS)] == list(KEYS)
    for key in (
        "speedup_monai_warm",
        "speedup_monai_cold",
        "maps_over_segment",
        "whatif_over_segment",
    ):
        assert found[key] > 0
    assert 0 < found["dice_vs_monai"] <= 1  # at this size most of a volume is border
    assert 0 < found["peak_share_network"] < 1.5
    assert found["peak_memory_mib"] > 100
    assert found["event_loop_p99_ms"] is None
    assert found["speedup_nnunet"] is None
    left = {"nnunet", "nnunet mirrored", "window", "torch"}
    assert set(found["not_measured"]) == left
    contenders = found["contenders"]
    warm, peaks = contenders["warm"], contenders["prepare"]["matrix_peak_gflops"]
    # The engine that ran says what it computed in; the share is of that precision's own peak.
    rate = warm["network_gflop"] / warm["again"]["stages"]["network"]
    assert found["engine"] == ("openvino" if find_spec("openvino") else "torch")
    assert found["peak_share_network"] == pytest.approx(rate / peaks[found["precision"]], abs=1e-3)
    # One tile of 32^3: levels of 16, 32, 64, 128 channels from 16^3 down, four encoders.
    values = 4 * sum(16 * 2**k * (16 >> k) ** 3 for k in range(4))
    size = 2 if found["precision"] == "bfloat16" else 4
    assert found["kept_mib"]["messages"] == pytest.approx(values * size / 2**20, abs=0.1)
    assert found["kept_mib"]["answers"] == pytest.approx(6 * 32**3 * 4 / 2**20, abs=0.1)
    assert contenders["warm"]["maps"]["count"] == 18
    assert contenders["warm"]["foreground"] == [32, 32, 32]
    assert [grown["size"] for grown in contenders["warm"]["growth"]] == ["1x", "2x", "4x"]
    assert contenders["gradcam"]["runs_needed"] == 18
    assert "Measuring MONAI's sliding window, overlap 0.5 ..." in told.err


def test_a_width_that_is_not_possible_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--edge", "32", "--base-filters", "7"]) == 2
    told = capfd.readouterr()
    assert told.out == ""
    assert "7 base filters are not possible here; choose a multiple of 16." in told.err


def test_a_contender_that_fails_says_why(tmp_path: object) -> None:
    setup = BenchConfig(folder=tmp_path, extent=QUARTER, base_filters=16, quick=True)
    answer = run_contender("monai 0.5", setup, ProgressMonitor())
    assert isinstance(answer, Answer)
    assert answer.result is None
    assert "case" in answer.reason


@pytest.mark.usefixtures("nobody_left")
def test_who_takes_too_long_is_ended(tmp_path: Path) -> None:
    setup = BenchConfig(folder=tmp_path, extent=QUARTER, base_filters=16, quick=True)
    answer = run_contender("prepare", setup, ProgressMonitor(), seconds=0.2)
    assert answer.result is None
    assert "the time is up" in answer.reason


def test_what_was_measured_is_kept_when_a_run_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fake(name: str, *_: object, **__: object) -> Answer:
        if name == "warm":
            raise KeyboardInterrupt
        return Answer({"seconds": {"total": 3.0}})

    monkeypatch.setattr("napari_ciml.research.bench.run.run_contender", fake)
    file = tmp_path / "bench.json"
    assert main([*TINY, "-o", str(file)]) == 130
    found = json.loads(file.read_text())
    assert found["contenders"]["cold"]["seconds"]["total"] == 3.0
    assert found["not_measured"]["monai 0.5"] == "the run ended before"


@pytest.mark.usefixtures("nobody_left")
def test_cancelling_ends_the_contender(tmp_path: object) -> None:
    setup = BenchConfig(folder=tmp_path, extent=QUARTER, base_filters=16, quick=True)
    monitor = ProgressMonitor()
    monitor.stop.set()
    with pytest.raises(CancelledError):
        run_contender("prepare", setup, monitor)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_at_once_and_leaves_nobody_behind() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_ciml", *TINY],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # Where tests run in the background, an interrupt is ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    assert "Measuring" in process.stderr.readline()
    whole = psutil.Process(process.pid)
    while not whole.children():
        time.sleep(0.01)
    children = whole.children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    assert process.stderr.read() == "napari-ciml: stopped.\n"
    _, left = psutil.wait_procs(children, timeout=10)
    # Where nobody collects orphans a dead one stays listed.
    assert not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]
