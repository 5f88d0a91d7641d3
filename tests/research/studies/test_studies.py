import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from napari_ciml.cases.geometry import Grid
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.progress import Progress, ProgressMonitor
from napari_ciml.research.studies import catalogue, data, reproduce
from napari_ciml.research.studies import early_fusion as early_fusion_study
from napari_ciml.research.studies.baselines import BASELINES, Baseline, early_fusion
from napari_ciml.research.studies.catalogue import BETAS, STUDIES, base_settings, study
from napari_ciml.research.studies.faithfulness import measure_faithfulness
from napari_ciml.research.studies.report import write_report
from napari_ciml.research.studies.reproduce import StudyOptions
from napari_ciml.research.studies.runs import Run, perform
from napari_ciml.research.studies.statistics import (
    difference,
    estimate,
    rank_correlation,
    with_mean,
)
from napari_ciml.research.studies.synthetic_volumes import MODALITIES, make_volume
from napari_ciml.training.settings import Hardware, TrainSettings, paper_settings

CPU = Hardware(device="cpu", precision="32", workers=0)
ALONE = StudyOptions(jobs=1)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs of two steps, one seed, six volumes in all."""

    def settings(budget: catalogue.BudgetName, preset: str) -> TrainSettings:
        changes = {"epochs": 2, "iterations": 2, "network": NetworkSettings(base_filters=2)}
        return base_settings(budget, preset).model_copy(update=changes)

    monkeypatch.setattr(catalogue, "base_settings", settings)
    monkeypatch.setattr(reproduce, "SEEDS", (0,))
    sizes = {"training": (0, 3), "validation": (1000, 1), "test": (2000, 2)}
    monkeypatch.setattr(data, "_SMALL", sizes)


def test_puzzles_need_more_than_one_modality() -> None:
    case = make_volume(5)
    np.testing.assert_array_equal(case.images, make_volume(5).images)
    wt, tc, et = case.regions
    assert wt.sum() > tc.sum() > et.sum() > 0
    assert not (tc & ~wt).any()
    assert not (et & ~tc).any()
    # What looks like edema in FLAIR, brighter than the median edema, is elsewhere too.
    flair = case.images[MODALITIES.index("FLAIR")].astype(float)
    edema = wt & ~tc
    assert (flair[~wt] > np.median(flair[edema])).sum() > 0.1 * edema.sum()


def test_table_5_table_6_and_the_figures() -> None:
    rows = [variant.settings.network for variant in study("ablation", "paper").variants]
    assert [(n.message, n.attention, n.variational) for n in rows] == [
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (True, False, True),
        (True, True, True),
    ]
    chosen = [v.settings.decomposition.subtasks for v in study("decompositions", "paper").variants]
    assert chosen == [PRESETS[f"table6-{row}"].subtasks for row in range(1, 6)]
    assert [v.settings.beta for v in study("beta", "small").variants] == list(BETAS)
    filters = [v.settings.network.base_filters for v in study("filters", "paper").variants]
    assert filters == [4, 8, 16, 24, 32]
    names = [v.name for v in study("baselines", "small").variants]
    assert names == [*BASELINES, "CIML"]
    for name in STUDIES:
        variants = study(name, "paper").variants
        assert study(name, "paper").reference in [variant.name for variant in variants]
        assert {v.settings.patch for v in variants} == {(64, 64, 64)}
        assert {(v.settings.epochs, v.settings.learning_rate) for v in variants} == {(500, 1e-4)}
    with pytest.raises(InputError, match="There is no study"):
        study("nothing", "small")


def test_tables_3_and_4_are_of_other_presets() -> None:
    for preset in ("autopet", "hecktor2022"):
        variants = study("baselines", "paper", preset).variants
        assert {v.settings.patch for v in variants} == {(128, 128, 128)}
        assert {v.settings.network.norm for v in variants} == {"instance"}
        assert variants[0].settings.normalisation == {"PET": "suv", "CT": "dataset"}
    with pytest.raises(InputError, match="for brats2020 only"):
        study("decompositions", "paper", "autopet")


@pytest.mark.parametrize("name", list(BASELINES))
def test_baselines_take_what_ciml_takes(name: str) -> None:
    settings = next(v for v in study("baselines", "small").variants if v.name == name).settings
    network = Baseline(name)(settings)
    seen = {m: torch.randn(1, 1, 32, 32, 32) for m in settings.decomposition.input_modalities}
    (prediction,) = network(seen).values()
    assert prediction.logits.shape == (1, 3, 32, 32, 32)
    assert prediction.kl is None
    changed = network({**seen, "T1": seen["T1"] + 1})
    assert not torch.allclose(prediction.logits, next(iter(changed.values())).logits)


def test_early_fusion_sees_all_modalities_for_all_regions() -> None:
    whole = early_fusion(PRESETS["brats2020"]).validated()
    (task,) = whole.subtasks
    assert (task.primary, task.regions) == (whole.input_modalities, ("WT", "TC", "ET"))
    assert whole.messages == ()


def test_a_report_sums_registration_up(tmp_path: Path) -> None:
    """Three trials by hand: means 10 and 0.4 of T1's two, 9 and 0.3 of all."""
    table = "trial,moved,degrees,before_mm,after_mm,largest_mm\n"
    table += "0,T1,14.60,12.0,0.3,0.5\n1,T1,3.0,8.0,0.5,0.9\n2,T2,2.0,7.0,0.1,0.2\n"
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "alignment.csv").write_text(table)
    page = write_report(tmp_path).read_text()
    assert (
        "3 random transforms of phantoms: rotations of up to 15 degrees, mean displacements" in page
    )
    assert "| T1 | 2 | 10.00 ± 2.83 | 0.40 ± 0.14 | 0.50 | 0.90 |" in page
    assert "| **all** | 3 | 9.00 ± 2.65 | 0.30 ± 0.20 | 0.50 | 0.90 |" in page


@pytest.mark.usefixtures("tiny")
def test_studies_share_their_runs_and_a_report_tells_of_them(tmp_path: Path) -> None:
    seen: list[Progress] = []
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "ablation.md").write_text("What to make of it.")
    reproduce.reproduce("ablation", "small", tmp_path, ProgressMonitor(report=seen.append), ALONE)
    assert len(list((tmp_path / "runs").iterdir())) == 5
    table = reproduce.reproduce(
        "filters", "small", tmp_path, ProgressMonitor(), StudyOptions(jobs=2)
    )
    found = pd.read_csv(table)
    assert set(found.variant) == {"C = 4", "C = 8", "C = 16"}
    assert len(found) == 3 * 2 * 3
    assert found.dice.between(0, 1).all()
    again: list[Progress] = []
    reproduce.reproduce("ablation", "small", tmp_path, ProgressMonitor(report=again.append), ALONE)
    assert not [step for step in again if step.stage == "Training"]
    about = json.loads((tmp_path / "studies" / "ablation.json").read_text())
    settings = about["variants"]["+ Message"]["settings"]
    assert TrainSettings.model_validate(settings).network.attention is False
    measure_faithfulness("small", tmp_path, ProgressMonitor())
    muting = pd.read_csv(tmp_path / "studies" / "muting.csv")
    assert len(muting) == 2 * 18
    sums = muting.groupby(["seed", "case", "primary", "region"]).weight.sum()
    np.testing.assert_allclose(sums[sums > 0], 1, atol=1e-3)
    page = write_report(tmp_path).read_text()
    for words in ("Table 5", "Fig. 10", "What to make of it.", "(faithfulness.md)", "+ VI"):
        assert words in page
    for link in ("ablation.png", "filters.png"):
        assert (tmp_path / "studies" / link).is_file()
        assert f"studies/{link}" in page
    assert (tmp_path / "studies" / "muting.png").is_file()
    assert "studies/muting.png" in (tmp_path / "faithfulness.md").read_text()


@pytest.mark.usefixtures("tiny")
def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    variant = study("filters", "small").variants[0]
    split = data.synthetic_cases()
    run = Run(variant, 0, tmp_path, split.name)
    monitor = ProgressMonitor(
        report=lambda p: monitor.stop.set() if (p.stage, p.done) == ("Training", 2) else None
    )
    with pytest.raises(CancelledError):
        perform(run, split, CPU, monitor)
    assert not run.done
    steps: list[int] = []
    perform(run, split, CPU, ProgressMonitor(lambda p: steps.append(p.done)))
    assert steps[0] == 2
    assert run.done
    assert run.cost().parameters > 0
    assert {score.region for score in run.scores()} == {"WT", "TC", "ET"}
    other = Run(variant, 1, tmp_path, split.name)
    assert other.folder != run.folder


@pytest.mark.usefixtures("tiny")
def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished ablation"):
        measure_faithfulness("small", tmp_path, ProgressMonitor())
    with pytest.raises(InputError, match="no table"):
        write_report(tmp_path)


def table(**scores: list[list[float]]) -> pd.DataFrame:
    """Return a table from Dice by variant, seed and case, of one region."""
    rows = [
        {"variant": v, "seed": s, "case": c, "region": "WT", "dice": d, "hd95_mm": np.nan}
        for v, by_seed in scores.items()
        for s, by_case in enumerate(by_seed)
        for c, d in enumerate(by_case)
    ]
    return with_mean(pd.DataFrame(rows))


def test_estimates_are_means_over_seeds() -> None:
    found = estimate(table(a=[[0.8, 0.6], [0.9, 0.7]]), "a", "WT")
    assert found.mean == pytest.approx(0.75)
    assert found.deviation == pytest.approx(np.std([0.7, 0.8], ddof=1))


def test_differences_are_paired_by_case() -> None:
    # Cases differ far more than variants do; only the pairing tells.
    scores = table(a=[[0.1, 0.5, 0.9]] * 2, b=[[0.15, 0.54, 0.96]] * 2)
    found = difference(scores, "b", "a")
    assert found.mean == pytest.approx(0.05)
    half = 4.302653 * np.std([0.05, 0.04, 0.06], ddof=1) / np.sqrt(3)
    assert (found.low, found.high) == (pytest.approx(0.05 - half), pytest.approx(0.05 + half))
    assert found.is_significant
    assert not difference(table(a=[[0.1, 0.5]], b=[[0.2, 0.4]]), "b", "a").is_significant


def test_rank_correlation_over_cases() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"case": np.repeat(range(10), 5), "said": rng.random(50)})
    frame["lost"] = frame.said.round(1) + frame.said.index % 3 / 3
    rho = stats.spearmanr(frame.said, frame.lost).statistic
    assert rank_correlation(frame, "said", "lost").mean == pytest.approx(rho)
    frame["lost"] = frame.said**3
    assert rank_correlation(frame, "said", "lost").mean == pytest.approx(1)
    frame["lost"] = rng.random(50)
    found = rank_correlation(frame, "said", "lost")
    assert found.low < found.mean < found.high
    assert not found.is_significant


@pytest.fixture
def ten_cases(tmp_path: Path) -> Path:
    from napari_ciml.cases.writing import write_volume

    rng = np.random.default_rng(0)
    grid = Grid((20, 20, 20), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    for k in range(10):
        folder = tmp_path / "data" / f"case{k}"
        folder.mkdir(parents=True)
        for modality in ("flair", "t1", "t1ce", "t2"):
            write_volume(folder / f"{modality}.nii.gz", rng.random((20, 20, 20)), grid)
        write_volume(folder / "seg.nii.gz", np.full((20, 20, 20), 4, np.uint8), grid)
    return tmp_path / "data"


def test_peers_have_no_fewer_parameters_and_learn_from_the_same(
    tmp_path: Path, ten_cases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(preset: str, epochs: int) -> TrainSettings:
        changes = {"network": NetworkSettings(base_filters=2), "spacing": (2.0,) * 3}
        few = {"patch": (32, 32, 32), "epochs": epochs, "iterations": 2}
        return paper_settings(PRESETS[preset]).model_copy(update=changes | few)

    monkeypatch.setattr(early_fusion_study, "_settings", short)
    found = early_fusion_study.measure_early_fusion(
        ten_cases,
        ten_cases,
        tmp_path,
        ProgressMonitor(),
        preset="flair-t1ce",
        epochs=1,
        device="cpu",
    )
    table = pd.read_csv(found)
    assert table.groupby(["variant", "group"]).case.nunique().to_dict() == {
        (name, group): count
        for name in ("CIML", "DynUNet", "SegResNet")
        for group, count in (("test", 2), ("external", 10))
    }
    about = json.loads(found.with_suffix(".json").read_text())
    ciml = about["CIML"]["parameters"]
    settings = TrainSettings.model_validate(about["DynUNet"]["settings"])
    assert about["SegResNet"]["parameters"] >= ciml
    assert about["DynUNet"]["parameters"] >= ciml
    narrower = NetworkSettings(base_filters=settings.network.base_filters - 1)
    smaller = Baseline("DynUNet")(settings.model_copy(update={"network": narrower}))
    assert sum(p.numel() for p in smaller.parameters()) < ciml
    assert "equal data, steps and parameters" in write_report(tmp_path).read_text()


def test_real_cases_are_split_by_chance_and_always_alike(tmp_path: Path, ten_cases: Path) -> None:
    settings = base_settings("small")
    found = [
        data.real_cases(ten_cases, settings, tmp_path / "cache", ProgressMonitor())
        for _ in range(2)
    ]
    assert [len(part) for part in (found[0].training, found[0].validation, found[0].test)] == [
        7,
        1,
        2,
    ]
    assert [case.folder for case in found[0].test] == [case.folder for case in found[1].test]
    assert "case" not in found[0].name.replace("cases", "")
