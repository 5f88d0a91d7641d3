"""A fine-tune that is interrupted goes on, and a kill leaves the old or the new file, whole."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.finetune import autosave
from napari_ciml.training.finetune.autosave import saved_progress
from napari_ciml.training.finetune.job import (
    FineTuneJob,
    FineTuneJobFolder,
    find_interrupted_jobs,
)
from napari_ciml.training.finetune.results import Controls
from napari_ciml.training.finetune.run import run_job
from napari_ciml.training.settings import FineTuneSettings
from napari_ciml.training.trainer import Trainer

WHOLE = PRESETS["autopet"]


@pytest.fixture
def case(ball: TrainingCase) -> TrainingCase:
    """The ball, certain in most of the volume."""
    certain = np.ones(ball.regions.shape[1:], bool)
    certain[..., 30:] = False
    return replace(ball, label_confidence_mask=certain)


@pytest.fixture
def lesson(blind: Checkpoint, tmp_path: Path) -> FineTuneJob:
    return FineTuneJob(
        checkpoint=blind.path,
        sha256=blind.sha256,
        path=tmp_path / "new.safetensors",
        decomposition=WHOLE,
        settings=FineTuneSettings(steps=24, learning_rate=5e-3),
        device="cpu",
    )


def written(path: Path, lesson: FineTuneJob, case: TrainingCase) -> FineTuneJobFolder:
    folder = FineTuneJobFolder(path)
    folder.write(lesson, [case], [case])
    return folder


def stop_after(step: int, monitor: ProgressMonitor) -> Controls:
    return Controls(report=lambda p: monitor.stop.set() if p.step == step else None)


def test_gone_on_with_it_learns_what_it_would_have(
    lesson: FineTuneJob, case: TrainingCase, tmp_path: Path
) -> None:
    whole = run_job(written(tmp_path / "tunes" / "a", lesson, case), ProgressMonitor())
    expected = load_checkpoint(whole.path).network.state_dict()
    whole.path.unlink()
    folder = written(tmp_path / "tunes" / "b", lesson, case)
    monitor = ProgressMonitor()
    with pytest.raises(CancelledError):
        run_job(folder, monitor, stop_after(14, monitor))
    assert saved_progress(folder.path) == (14, pytest.approx(14 / 24))
    assert find_interrupted_jobs(tmp_path / "tunes") == [folder]
    steps: list[int] = []
    done = run_job(folder, ProgressMonitor(), Controls(report=lambda p: steps.append(p.step)))
    assert steps == list(range(15, 25))
    assert done.corrected_before == whole.corrected_before
    assert done.corrected_after["lesion"] == pytest.approx(
        whole.corrected_after["lesion"], abs=0.02
    )
    found = load_checkpoint(done.path).network.state_dict()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4)
    assert find_interrupted_jobs(tmp_path / "tunes") == []
    assert not folder.path.exists()


def test_the_best_found_before_is_not_lost(
    lesson: FineTuneJob, case: TrainingCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "tunes" / "a", lesson, case)
    monitor = ProgressMonitor()
    with pytest.raises(CancelledError):
        run_job(folder, monitor, stop_after(20, monitor))
    before = load_checkpoint(lesson.path).network.state_dict()
    ended = Controls()
    ended.finish.set()
    monkeypatch.setattr(
        "napari_ciml.training.finetune.run._FineTune._evaluate_further", lambda _: None
    )
    done = run_job(folder, ProgressMonitor(), ended)
    assert done.corrected_after["lesion"] > done.corrected_before["lesion"] + 0.1
    assert done.steps == 20
    assert (
        done.interpolation
        == load_checkpoint(done.path).info.training.options["interpolation"]
        == 0.5
    )
    assert set(before) == set(load_checkpoint(done.path).network.state_dict())


def test_a_failure_after_some_steps_loses_nothing(
    lesson: FineTuneJob, case: TrainingCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, step = written(tmp_path / "tunes" / "a", lesson, case), Trainer.step
    monkeypatch.setattr(autosave, "_MAX_OVERHEAD", float("inf"))

    def breaks(self: Trainer, batch: dict[str, torch.Tensor], number: int) -> list[float]:
        if number == 3:
            raise ValueError("no such thing")
        return step(self, batch, number)

    monkeypatch.setattr(Trainer, "step", breaks)
    with pytest.raises(ValueError, match="no such thing"):
        run_job(folder, ProgressMonitor())
    assert saved_progress(folder.path)[0] == 3
    assert find_interrupted_jobs(tmp_path / "tunes") == [folder]
    monkeypatch.setattr(Trainer, "step", step)
    assert run_job(folder, ProgressMonitor()).steps == 24


def test_cases_come_back_as_they_were(
    lesson: FineTuneJob, case: TrainingCase, tmp_path: Path
) -> None:
    ((found,), (other,)) = written(tmp_path / "a", lesson, case).cases()
    for one in (found, other):
        np.testing.assert_array_equal(one.images, case.images)
        np.testing.assert_array_equal(one.regions, case.regions)
        np.testing.assert_array_equal(one.label_confidence_mask, case.label_confidence_mask)
        np.testing.assert_array_equal(one.foreground_voxels[0], case.foreground_voxels[0])


def test_what_cannot_be_gone_on_with_is_said(
    lesson: FineTuneJob, case: TrainingCase, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no fine-tune to resume"):
        FineTuneJobFolder(tmp_path).job()
    folder = written(tmp_path / "tunes" / "a", lesson, case)
    with folder.lock():
        assert find_interrupted_jobs(tmp_path / "tunes") == []
        with pytest.raises(InputError, match="already running"):
            run_job(folder, ProgressMonitor())
    assert folder.job() == lesson
    other = lesson.model_copy(update={"sha256": "0" * 64})
    folder.write(other, [case], [])
    with pytest.raises(InputError, match="has changed since the fine-tune started"):
        run_job(folder, ProgressMonitor())
    assert not (folder.path / "job.json").exists()
    # What a kill left before the lesson was written is removed.
    (tmp_path / "tunes" / "b" / "corrected").mkdir(parents=True)
    assert find_interrupted_jobs(tmp_path / "tunes") == []
    assert not (tmp_path / "tunes" / "b" / "corrected").exists()


# Loads everything once, then learns in children, each of which is killed at another moment.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from napari_ciml.progress import ProgressMonitor
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.training.finetune import autosave, run
from napari_ciml.training.finetune.job import FineTuneJobFolder
from napari_ciml.training.finetune.run import run_job
autosave._MAX_OVERHEAD, run._EVALUATIONS = float("inf"), 100000
folder, new, times = FineTuneJobFolder(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
draw, steps = random.Random(0), []

def changed():
    file = folder.path / "state.safetensors"
    return file.stat().st_mtime_ns if file.exists() else 0

for _ in range(times):
    child = os.fork()
    if not child:
        run_job(folder, ProgressMonitor())
        os._exit(0)
    # Before it has begun, before its first step, or some steps later; then at any moment.
    for _ in range(draw.randint(0, 3)):
        before = changed()
        while changed() == before:
            if os.waitpid(child, os.WNOHANG) != (0, 0):
                sys.exit("The fine-tune ended by itself.")
            time.sleep(0.002)
    time.sleep(draw.uniform(0, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if new.exists():
        load_checkpoint(new)
    steps.append(autosave.saved_progress(folder.path)[0])
print(*steps)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_killed_at_any_moment_it_goes_on(
    lesson: FineTuneJob, case: TrainingCase, tmp_path: Path
) -> None:
    endless = lesson.model_copy(
        update={"settings": FineTuneSettings(steps=1_000_000, learning_rate=1e-3)}
    )
    folder = FineTuneJobFolder(tmp_path / "tunes" / "a")
    folder.write(endless, [case], [])
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder.path), str(lesson.path), "10"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    steps = [int(text) for text in done.stdout.split()]
    assert len(steps) == 10
    assert steps == sorted(steps)
    assert steps[-1] > steps[0]
    assert load_checkpoint(lesson.path).info.training.parent == lesson.sha256
    assert find_interrupted_jobs(tmp_path / "tunes") == [folder]
