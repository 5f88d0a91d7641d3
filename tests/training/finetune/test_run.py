from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from napari_ciml.decomposition.edits import restrict_to_modalities
from napari_ciml.decomposition.model import Decomposition, Pair, Region, Subtask
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, DeviceError, DivergedError, InputError
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.network.ciml import CIML
from napari_ciml.network.transfer import TransferredNetwork
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.finetune import versions
from napari_ciml.training.finetune.adapt import initial_network
from napari_ciml.training.finetune.clock import Clock
from napari_ciml.training.finetune.evaluator import VersionEvaluator
from napari_ciml.training.finetune.patches import ReplayMixDataset
from napari_ciml.training.finetune.results import Controls, StepReport, Version
from napari_ciml.training.finetune.run import FineTuneTask, finetune
from napari_ciml.training.settings import FineTuneSettings, Hardware
from napari_ciml.training.trainer import Trainer

CPU = Hardware(device="cpu", precision="32", workers=0)
QUICK = FineTuneSettings(steps=20, learning_rate=5e-3, interpolation=1.0)
WHOLE = PRESETS["autopet"]


def task(
    settings: FineTuneSettings, path: Path, decomposition: Decomposition | None = None
) -> FineTuneTask:
    return FineTuneTask(settings, path, decomposition, CPU)


def inverted(ball: TrainingCase) -> TrainingCase:
    """Return a case in which everything but the ball is the lesion."""
    return TrainingCase.from_arrays(ball.images, ~ball.regions)


def test_it_learns_and_keeps_the_old_version(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in blind.network.state_dict().items()}
    reports: list[StepReport] = []
    done = finetune(
        blind,
        [ball],
        [ball],
        task(QUICK, tmp_path / "run"),
        ProgressMonitor(),
        Controls(report=reports.append),
    )
    assert done.corrected_before["lesion"] < 0.2
    assert done.corrected_after["lesion"] > 0.7
    assert done.retains_replay
    new = load_checkpoint(done.path)
    assert new.info.training.parent == blind.sha256
    assert new.sha256 != blind.sha256
    for name, value in blind.network.state_dict().items():
        torch.testing.assert_close(value, before[name])
    assert [report.step for report in reports] == list(range(1, done.steps + 1))
    assert 3 <= sum(report.version is not None for report in reports) <= 6
    assert all(a.fraction_done <= b.fraction_done <= 1 for a, b in pairwise(reports))


def test_what_forgets_is_offered_and_said_to_be_harmful(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path
) -> None:
    for subtask in WHOLE.subtasks:
        torch.nn.init.constant_(blind.network.segmentor(subtask.name).output.bias, 3.0)
    alone = QUICK.model_copy(update={"replay_fraction": 0.0, "steps": 40, "tolerance": 0.0})
    done = finetune(
        blind, [ball], [inverted(ball)], task(alone, tmp_path / "run"), ProgressMonitor()
    )
    assert done.replay_before["lesion"] > 0.8
    assert done.corrected_after["lesion"] > done.corrected_before["lesion"]
    assert done.replay_after["lesion"] < done.replay_before["lesion"]
    assert not done.retains_replay


@pytest.mark.parametrize(("harmful_from", "taken"), [(0.6, 0.5), (0.8, 0.75), (2.0, 1.0)])
def test_it_goes_as_far_as_it_does_no_harm(
    blind: Checkpoint,
    ball: TrainingCase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harmful_from: float,
    taken: float,
) -> None:
    def judged(_: VersionEvaluator, seen: Checkpoint, first: Version | None) -> Version:
        weights = {name: value.clone() for name, value in seen.network.state_dict().items()}
        share = moved(first.weights, weights) if first else 0.0
        return Version(weights, {"lesion": share}, {"lesion": 0.5}, share < harmful_from)

    # How far a version lies is told by its weights beside the last state, all of the way.
    states: list[dict[str, torch.Tensor]] = []
    real = versions.interpolate_weights

    def remembered(begun: TransferredNetwork, first: dict[str, torch.Tensor], share: float) -> CIML:
        states.append({n: v.detach().clone() for n, v in begun.network.state_dict().items()})
        return real(begun, first, share)

    def moved(first: dict[str, torch.Tensor], now: dict[str, torch.Tensor]) -> float:
        name = next(n for n in first if n.endswith("output.bias"))
        whole = states[-1][name] - first[name]
        return round(float(((now[name] - first[name]) / whole).mean()), 2)

    monkeypatch.setattr(versions, "interpolate_weights", remembered)
    monkeypatch.setattr(VersionEvaluator, "measure", judged)
    short = QUICK.model_copy(update={"steps": 2})
    done = finetune(blind, [ball], [ball], task(short, tmp_path / "run"), ProgressMonitor())
    assert (
        done.interpolation
        == load_checkpoint(done.path).info.training.options["interpolation"]
        == taken
    )
    assert done.retains_replay
    assert done.corrected_after["lesion"] == pytest.approx(taken, abs=0.02)


def test_harm_is_the_mean_over_regions_and_twice_as_much_of_one(
    blind: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {"A": 0.9, "B": 0.9}
    now: dict[str, float] = {}
    monkeypatch.setattr(VersionEvaluator, "_dice_by_region", lambda *_: dict(now))
    judge = VersionEvaluator([], [None], WHOLE, 0.01, torch.device("cpu"), ProgressMonitor())
    first = Version({}, {}, before, True)

    def harmless(**values: float) -> bool:
        now.update(values)
        return judge.measure(blind, first).retains_replay

    assert harmless(A=0.885, B=0.9)
    assert not harmless(A=0.875, B=0.93)
    assert not harmless(A=0.888, B=0.888)
    assert harmless(A=0.95, B=0.881)


def test_what_judges_replay_teaches_nothing(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[TrainingCase] = []

    class Spied(ReplayMixDataset):
        def __init__(self, corrected: list[TrainingCase], replay: list[TrainingCase], *a) -> None:
            taught.extend(replay)
            super().__init__(corrected, replay, *a)

    monkeypatch.setattr("napari_ciml.training.finetune.run.ReplayMixDataset", Spied)
    replay = [replace(ball), inverted(ball), replace(ball), inverted(ball)]
    short = QUICK.model_copy(update={"steps": 2})
    done = finetune(blind, [ball], replay, task(short, tmp_path / "run"), ProgressMonitor())
    judged = [case for case in replay if not any(case is other for other in taught)]
    assert len(taught) == 2
    assert done.replay_set == "2 held-out cases"
    seen = VersionEvaluator(judged, [], WHOLE, 0, torch.device("cpu"), ProgressMonitor())
    after = seen.measure(load_checkpoint(done.path), None).corrected
    assert done.replay_after["lesion"] == pytest.approx(after["lesion"], abs=1e-3)
    taught.clear()
    one = finetune(blind, [ball], [ball], task(short, tmp_path / "one"), ProgressMonitor())
    (part,) = taught
    assert one.replay_set == "a held-out slab of 1 case"
    assert part.label_confidence_mask is not None
    share = (part.label_confidence_mask & ball.regions).sum() / ball.regions.sum()
    assert 0.2 < share < 0.8


def test_only_what_is_certain_teaches(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path
) -> None:
    certain = np.zeros((32, 32, 32), bool)
    certain[:, :, :16] = True
    wrong = ball.regions.copy()
    wrong[..., 16:] = True  # nonsense, but marked as not certain
    partly = replace(TrainingCase.from_arrays(ball.images, wrong), label_confidence_mask=certain)
    done = finetune(blind, [partly], [], task(QUICK, tmp_path / "run"), ProgressMonitor())
    assert done.corrected_after["lesion"] > 0.7
    judged = finetune(
        load_checkpoint(done.path),
        [ball],
        [],
        task(FineTuneSettings(steps=1, learning_rate=1e-9), tmp_path / "judged"),
        ProgressMonitor(),
    )
    assert judged.corrected_before["lesion"] > 0.5


def test_cancel_finish_and_pause(blind: Checkpoint, ball: TrainingCase, tmp_path: Path) -> None:
    long = QUICK.model_copy(update={"steps": 10_000})
    monitor = ProgressMonitor()
    controls = Controls(report=lambda p: monitor.stop.set() if p.step == 3 else None)
    with pytest.raises(CancelledError):
        finetune(blind, [ball], [], task(long, tmp_path / "a"), monitor, controls)
    assert load_checkpoint(tmp_path / "a")
    ended = Controls(report=lambda p: ended.finish.set() if p.step == 3 else None)
    done = finetune(blind, [ball], [], task(long, tmp_path / "b"), ProgressMonitor(), ended)
    assert done.steps == 3


def test_the_clock_stands_still_while_paused() -> None:
    class Pause(Event):
        """Cleared after its third look; every look takes 20 s."""

        def is_set(self) -> bool:
            nonlocal now
            now += 20
            return now < 70

    now = 0.0
    clock = Clock(60, now=lambda: now)
    now = 6.0
    clock.wait_while(Pause(), ProgressMonitor())
    assert now > 60
    assert clock.fraction_done(1) == pytest.approx(0.1)
    assert clock.seconds_left(1) == pytest.approx(54)


def test_a_loss_that_is_no_number_keeps_the_best(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise DivergedError("The loss is no longer a number.")

    monkeypatch.setattr(Trainer, "step", breaks)
    told: list[str] = []
    done = finetune(
        blind, [ball], [], task(QUICK, tmp_path / "run"), ProgressMonitor(notify=told.append)
    )
    assert "no longer finite" in told[0]
    assert done.notices == tuple(told)
    assert done.corrected_after == done.corrected_before
    kept = load_checkpoint(done.path).network.state_dict()
    for name, value in blind.network.state_dict().items():
        torch.testing.assert_close(kept[name], value)


def test_full_memory_makes_patches_smaller(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = blind.info.model_copy(update={"patch": (64, 64, 64)})
    seen: list[int] = []

    def full(limit: int) -> None:
        def step(_: object, batch: dict[str, torch.Tensor], __: int) -> list[float]:
            seen.append(batch["image"].shape[-1])
            if seen[-1] > limit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return [1.0, 1.0, 0.0, 0.0]

        monkeypatch.setattr(Trainer, "step", step)

    full(limit=32)
    told: list[str] = []
    finetune(
        replace(blind, info=info),
        [ball],
        [],
        task(FineTuneSettings(steps=3), tmp_path / "run"),
        ProgressMonitor(notify=told.append),
    )
    assert seen[:2] == [64, 32]
    assert told == ["The memory is full; continuing with patches of 32 voxels."]
    full(limit=0)
    with pytest.raises(DeviceError, match="patches of 32"):
        finetune(blind, [ball], [], task(QUICK, tmp_path / "b"), ProgressMonitor())


def test_what_is_adapted(blind: Checkpoint, ball: TrainingCase, tmp_path: Path) -> None:
    short = QUICK.model_copy(update={"trainable": "decoders"})
    done = finetune(blind, [ball], [], task(short, tmp_path / "a"), ProgressMonitor())
    new, old = load_checkpoint(done.path).network.state_dict(), blind.network.state_dict()
    moved = {name.split(".")[0] for name in new if not torch.equal(new[name], old[name])}
    assert moved == {"segmentors"}
    with pytest.raises(InputError, match="Nothing in this decomposition is new"):
        finetune(
            blind,
            [ball],
            [],
            task(FineTuneSettings(trainable="new"), tmp_path / "b"),
            ProgressMonitor(),
        )
    with pytest.raises(InputError, match="no corrected case"):
        finetune(blind, [], [], task(short, tmp_path / "c"), ProgressMonitor())


def test_a_new_region_is_learnt_by_its_output_alone(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path
) -> None:
    core = Region(name="core", labels=(2,), colour="#0000ff")
    more = WHOLE.model_copy(
        update={
            "regions": (*WHOLE.regions, core),
            "subtasks": tuple(
                task.model_copy(update={"regions": ("lesion", "core")}) for task in WHOLE.subtasks
            ),
        }
    ).validated()
    both = TrainingCase.from_arrays(ball.images, np.concatenate([ball.regions, ball.regions]))
    only = FineTuneSettings(steps=20, trainable="new", learning_rate=1e-2)
    done = finetune(blind, [both], [], task(only, tmp_path / "a", more), ProgressMonitor())
    new = load_checkpoint(done.path)
    assert Pair("PET", "core") in new.info.decomposition.pairs
    old = blind.network.state_dict()
    kept = new.network.state_dict()
    assert all(torch.equal(kept[name], old[name]) for name in old if ".output." not in name)


def test_what_is_not_a_diverged_loss_is_not_called_one(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise DeviceError("There is not enough memory for even the smallest tile.")

    monkeypatch.setattr(Trainer, "step", breaks)
    with pytest.raises(DeviceError, match="smallest tile"):
        finetune(blind, [ball], [], task(QUICK, tmp_path / "run"), ProgressMonitor())


def test_a_new_modality_can_be_learnt_and_loaded_again(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path
) -> None:
    more = WHOLE.model_copy(
        update={
            "modalities": (*WHOLE.modalities, "MR"),
            "subtasks": (*WHOLE.subtasks, Subtask(primary=("MR",), regions=("lesion",))),
        }
    ).validated()
    three = TrainingCase.from_arrays(np.concatenate([ball.images, ball.images[:1]]), ball.regions)
    short = FineTuneSettings(steps=3)
    done = finetune(blind, [three], [], task(short, tmp_path / "run", more), ProgressMonitor())
    info = load_checkpoint(done.path).info
    assert info.normalisation == dict.fromkeys(("PET", "CT", "MR"), "zscore")


def test_what_the_checkpoint_can_do_already_it_can_do_afterwards(
    blind: Checkpoint, ball: TrainingCase, tmp_path: Path
) -> None:
    pet = restrict_to_modalities(WHOLE, ("PET",))
    alone = TrainingCase.from_arrays(ball.images[:1], ball.regions)
    unhurried = QUICK.model_copy(
        update={"held_out": 0.0, "steps": 150}
    )  # one ball alone is slow to show
    done = finetune(blind, [alone], [], task(unhurried, tmp_path / "run", pet), ProgressMonitor())
    assert done.corrected_after["lesion"] > done.corrected_before["lesion"] + 0.2
    new = load_checkpoint(done.path)
    assert new.info.decomposition == WHOLE
    moved, old = new.network.state_dict(), blind.network.state_dict()
    assert {name for name in moved if not torch.equal(moved[name], old[name])} <= {
        name for name in moved if name.startswith(("encoders.PET.", "segmentors.PET."))
    }
    assert any(not torch.equal(moved[name], old[name]) for name in moved if "PET.output" in name)


def test_a_region_that_means_something_else_is_another_one(blind: Checkpoint) -> None:
    labels = WHOLE.regions[0].model_copy(update={"labels": (7,)})
    other = WHOLE.model_copy(update={"regions": (labels,)})
    assert initial_network(blind, other).network.decomposition == other
    alone = initial_network(blind, restrict_to_modalities(WHOLE, ("CT",)))
    assert alone.network.decomposition == WHOLE
    assert not alone.randomly_initialised  # the gates' attention, too
    for name, value in alone.network.state_dict().items():
        torch.testing.assert_close(value, blind.network.state_dict()[name])
