import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from helpers.networks import images
from napari_ciml.cases.datasets import find_cases
from napari_ciml.errors import CancelledError, CheckpointError, InputError
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.progress import Progress, ProgressMonitor
from napari_ciml.research.phantoms import PhantomSettings, write_phantoms
from napari_ciml.training.folds import split
from napari_ciml.training.run import initial_network, run
from napari_ciml.training.run_plan import MixedDataset, RunPlan
from napari_ciml.training.scoring import score
from napari_ciml.training.settings import Hardware, TrainSettings


@pytest.fixture
def plan(data: Path, settings: TrainSettings, tmp_path: Path) -> RunPlan:
    short = settings.model_copy(update={"epochs": 1, "iterations": 3})
    return RunPlan(
        data, tmp_path, short, Hardware(device="cpu", precision="32", workers=0), held_out=1
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_folds_with_an_ensemble(plan: RunPlan) -> None:
    plan = RunPlan(**{**vars(plan), "folds": 3})
    result = run(plan, ProgressMonitor())
    cases = find_cases(plan.data)
    folds = json.loads((plan.output / "folds.json").read_text())["validation"]
    assert sorted(key for fold in folds for key in fold) == sorted(c.key for c in cases[:3])
    assert len(result.checkpoints) == 3
    infos = [load_checkpoint(path).info for path in result.checkpoints]
    assert [info.training.cases for info in infos] == [2, 2, 2]
    # Every case is scored by the one network that has not seen it; the last one by all together.
    assert [row["case"] for row in table(plan.output / "scores.csv")] == [
        k for fold in folds for k in fold
    ]
    (held_out,) = table(plan.output / "ensemble_scores.csv")
    assert held_out["case"] == cases[3].key
    summary = json.loads((plan.output / "summary.json").read_text())
    assert set(summary) == {
        *(f"fold {k}" for k in range(3)),
        *(f"fold {k}, held out" for k in range(3)),
        "all folds",
        "ensemble, held out",
    }
    assert summary["all folds"]["lesion"]["cases"] == 3
    texts = [p.read_text() for p in plan.output.glob("*.*") if p.suffix in (".json", ".csv")]
    assert not any(case.name in text for case in cases for text in texts)


def test_an_ensemble_of_one_is_that_one(plan: RunPlan) -> None:
    (path,) = run(plan, ProgressMonitor()).checkpoints
    one = load_checkpoint(path)
    cases = find_cases(plan.data)[3:]
    assert score(cases, [one, one], "cpu", ProgressMonitor()) == score(
        cases, [one], "cpu", ProgressMonitor()
    )
    assert [(s.modalities, s.cases) for s in one.info.scores] == [
        ((), 1),
        (("PET",), 1),
        (("CT",), 1),
    ]


def test_an_interrupted_cross_validation_goes_on(plan: RunPlan) -> None:
    def report(progress: Progress) -> None:
        if progress.stage == "Training":
            trained.append(progress.done)
            if len(trained) == 5:
                monitor.stop.set()

    trained: list[int] = []
    monitor = ProgressMonitor(report=report)
    plan = RunPlan(**{**vars(plan), "folds": 2})
    with pytest.raises(CancelledError):
        run(plan, monitor)
    again: list[Progress] = []
    result = run(RunPlan(**{**vars(plan), "resume": True}), ProgressMonitor(report=again.append))
    assert len(result.checkpoints) == 2
    # The first fold was done; the second one is begun again.
    assert [p.done for p in again if p.stage == "Training"] == [0, 1, 2]


def test_bad_cases_stop_the_run_before_it_begins_or_are_left_out(
    plan: RunPlan, data: Path, tmp_path: Path
) -> None:
    import shutil

    spoilt = tmp_path / "spoilt"
    shutil.copytree(data, spoilt)
    next(sorted(spoilt.glob("*_0000"))[0].glob("*_seg*")).unlink()
    plan = RunPlan(**{**vars(plan), "data": spoilt, "output": tmp_path / "run"})
    with pytest.raises(InputError, match="1 of 4 cases cannot be used"):
        run(plan, ProgressMonitor())
    assert not (tmp_path / "run" / "state.safetensors").exists()
    told: list[str] = []
    run(RunPlan(**{**vars(plan), "skip_unusable": True}), ProgressMonitor(notify=told.append))
    assert len(told) == 1
    assert "no label map" in told[0]


def test_folds_are_dealt_once(data: Path, tmp_path: Path) -> None:
    cases = find_cases(data)
    dealt = split(cases, 2, 0, tmp_path)
    assert sorted(len(fold) for fold in dealt) == [2, 2]
    assert split(cases, 2, 99, tmp_path) == dealt
    with pytest.raises(InputError, match="other cases or folds"):
        split(cases[:3], 2, 0, tmp_path)
    with pytest.raises(InputError, match="cannot make 5 folds"):
        split(cases, 5, 0, tmp_path)


def test_what_an_interrupted_run_has_learnt_can_be_had(plan: RunPlan) -> None:
    longer = plan.settings.model_copy(update={"epochs": 5, "ema_decay": 0.9})
    monitor = ProgressMonitor(report=lambda p: monitor.stop.set() if p.done == 7 else None)
    plan = RunPlan(**{**vars(plan), "settings": longer})
    with pytest.raises(CancelledError):
        run(plan, monitor)
    assert not (plan.output / "checkpoint.safetensors").exists()
    finish = {"resume": True, "score_only": True}
    wider = longer.model_copy(update={"network": NetworkSettings(base_filters=2)})
    with pytest.raises(InputError, match="the run there has other settings"):
        run(RunPlan(**{**vars(plan), **finish, "settings": wider}), ProgressMonitor())
    result = run(RunPlan(**{**vars(plan), **finish}), ProgressMonitor())
    checkpoint = load_checkpoint(result.checkpoints[0])
    assert checkpoint.info.training.steps == 6
    state = load_file(plan.output / "state.safetensors")
    for name, value in checkpoint.network.named_parameters():
        assert torch.equal(value, state[f"average.module.{name}"])
    assert result.summary["held out"]["lesion"]["cases"] == 1


def test_a_run_begins_with_the_weights_of_a_checkpoint(plan: RunPlan, blind: Checkpoint) -> None:
    standing = plan.settings.model_copy(update={"learning_rate": 1e-12, "weight_decay": 0.0})
    plan = RunPlan(**{**vars(plan), "settings": standing, "pretrained": blind.path})
    (path,) = run(plan, ProgressMonitor()).checkpoints
    learnt = load_checkpoint(path)
    assert learnt.info.training.parent == blind.sha256
    for name, value in blind.network.named_parameters():
        torch.testing.assert_close(learnt.network.get_parameter(name), value)
    other = standing.model_copy(update={"network": NetworkSettings(base_filters=6)})
    with pytest.raises(CheckpointError, match="choose the same norm, and its base filters or a"):
        run(RunPlan(**{**vars(plan), "settings": other}), ProgressMonitor())


def test_a_run_begins_with_the_weights_of_a_narrower_network(
    plan: RunPlan, blind: Checkpoint
) -> None:
    wider = plan.settings.network.model_copy(update={"base_filters": 8})
    network = initial_network(
        blind.path, plan.settings.model_copy(update={"network": wider})
    ).eval()
    assert network.settings == wider
    assert all(value.requires_grad for value in network.parameters())
    seen = images(blind.info.decomposition)
    with torch.no_grad():
        before, after = blind.network(seen), network(seen)
    for name, found in before.items():
        torch.testing.assert_close(after[name].logits, found.logits, rtol=1e-3, atol=1e-3)


def test_a_further_data_set_is_mixed_in_and_said_so(plan: RunPlan, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "more", PhantomSettings("petct", 8.0), 1, 90, ProgressMonitor())
    settings = plan.settings.model_copy(update={"mixture_fractions": (0.25,)})
    mixed = replace(plan, settings=settings, mixed=(MixedDataset(tmp_path / "more", 0.25),))
    info = load_checkpoint(run(mixed, ProgressMonitor()).checkpoints[0]).info
    assert info.training.data == f"{plan.data.name}, 25% of the patches more"
    assert info.training.cases == 3
    scored = {row["case"] for row in table(plan.output / "scores.csv")}
    assert scored == {find_cases(plan.data)[3].key}


def test_what_cannot_be_used_is_told_of_all_data_sets_at_once(
    plan: RunPlan, tmp_path: Path
) -> None:
    for name in ("more", "most"):
        write_phantoms(tmp_path / name, PhantomSettings("petct", 8.0), 2, 90, ProgressMonitor())
        (tmp_path / name / "petct_0090" / "petct_0090_CT.nii.gz").unlink()
    both = tuple(MixedDataset(tmp_path / name, 0.2) for name in ("more", "most"))
    told: list[str] = []
    with pytest.raises(InputError, match=r"more: 1 of 2 .*most: 1 of 2 .*--skip-unusable"):
        run(replace(plan, mixed=both), ProgressMonitor(notify=told.append))
    assert len(told) == 2
    run(replace(plan, mixed=both, skip_unusable=True), ProgressMonitor())
