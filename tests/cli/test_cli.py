import csv
import json
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from helpers.dicom_series import AXIAL, write_series
from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cli import main
from napari_ciml.decomposition.model import Message
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.paths import sample_data
from napari_ciml.training.finetune.autosave import saved_progress
from napari_ciml.training.trainer import Trainer


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_segment_and_explain_write_what_they_promise(
    case_folder: Path, tiny_checkpoint_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run("explain", case_folder, "-o", out, "--checkpoint", tiny_checkpoint_path) == 0
    names = {path.name for path in out.iterdir()}
    assert {"segmentation.nii.gz", "probability_WT.nii.gz", "summary.json", "weights.csv"} <= names
    assert "complementary_T2_TC_T1CE.nii.gz" in names
    assert sum(name.startswith("complementary_") for name in names) == 18
    reference = Grid.of(sitk.ReadImage(str(case_folder / "case_flair.nii.gz")))
    for path in out.glob("*.nii.gz"):
        assert Grid.of(sitk.ReadImage(str(path))) == reference
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary["volumes_ml"]) == {"WT", "TC", "ET"}
    assert summary["device"] in ("cpu", "cuda", "mps")
    assert len(summary["checkpoint_sha256"]) == 64
    # Nobody's name: neither the folder nor its path is told.
    assert str(case_folder) not in json.dumps(summary)
    rows = list(csv.DictReader((out / "weights.csv").open()))
    assert list(rows[0]) == ["primary", "region", "auxiliary", "weight"]
    assert len(rows) == 18


def test_command_line_and_function_give_the_same_voxels(
    case_folder: Path, tiny_checkpoint_path: Path, tmp_path: Path
) -> None:
    assert run("segment", case_folder, "-o", tmp_path, "--checkpoint", tiny_checkpoint_path) == 0
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "segmentation.nii.gz")))
    called = segment(open_case(case_folder), load_checkpoint(tiny_checkpoint_path))
    np.testing.assert_array_equal(written, called.label_map)


def test_two_modalities_muting_and_names(
    case_folder: Path, tiny_checkpoint_path: Path, tmp_path: Path
) -> None:
    (case_folder / "case_t1ce.nii.gz").rename(case_folder / "scan.nii.gz")
    status = run(
        *("segment", case_folder, "-o", tmp_path / "out", "--checkpoint", tiny_checkpoint_path),
        *("--decomposition", "flair-t1ce", "--modality", f"T1CE={case_folder / 'scan.nii.gz'}"),
        *("--mute", "FLAIR:T1CE"),
    )
    assert status == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert "FLAIR:T1CE" in summary["muted"]
    assert "T1CE:FLAIR" not in summary["muted"]


def test_a_missing_modality_is_told_and_the_others_run(
    case_folder: Path,
    tiny_checkpoint_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (case_folder / "case_t1ce.nii.gz").unlink()
    out = tmp_path / "out"
    assert run("segment", case_folder, "-o", out, "--checkpoint", tiny_checkpoint_path) == 0
    told = capsys.readouterr().out
    assert "The case has no T1CE; the decomposition is now 'brats2020 with FLAIR, T1, T2'." in told
    assert "No modality is primary for ET any longer." in told
    summary = json.loads((out / "summary.json").read_text())
    assert summary["missing_modalities"] == ["T1CE"]
    assert set(summary["volumes_ml"]) == {"WT", "TC"}


def test_segment_leaves_a_report_and_a_dicom_seg(
    case_folder: Path,
    tiny_checkpoint_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, common = tmp_path / "out", ("--checkpoint", tiny_checkpoint_path, "--report")
    write_series(tmp_path / "series", AXIAL)
    series = ("--dicom-seg", tmp_path / "series")
    assert run("explain", case_folder, "-o", out, *common, *series) == 0
    names = {path.name for path in out.iterdir()}
    assert {"report.html", "report.pdf", "segmentation.dcm", "volumes.csv"} <= names
    assert "Complementary-information weights" in (out / "report.html").read_text()
    assert run("segment", case_folder, "-o", out, *common, "--dicom-seg", case_folder) == 2
    assert "holds no DICOM files" in capsys.readouterr().err


def missing(folder: Path) -> list[object]:
    (folder / "case_t2.nii.gz").unlink()
    return ["--decomposition", "brats2020"]


def unreadable(folder: Path) -> list[object]:
    (folder / "case_t2.nii.gz").write_bytes(b"\x1f\x8bnothing")
    return []


def five_channels(folder: Path) -> list[object]:
    for path in folder.iterdir():
        path.unlink()
    grid = Grid((8, 8, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    volumes = [grid.to_sitk(np.random.default_rng(k).random((8, 8, 8))) for k in range(5)]
    sitk.WriteImage(sitk.JoinSeries(volumes), str(folder / "all.nii.gz"))
    return []


def nan_voxels(folder: Path) -> list[object]:
    image = sitk.ReadImage(str(folder / "case_t2.nii.gz"))
    image[10:30, 10:30, 10:30] = float("nan")
    sitk.WriteImage(image, str(folder / "case_t2.nii.gz"))
    return []


def pickled(folder: Path) -> list[object]:
    path = folder.parent / "weights.safetensors"
    path.write_bytes(pickle.dumps([1, 2, 3]))
    return ["--checkpoint", path]


def unknown_decomposition(_: Path) -> list[object]:
    return ["--decomposition", "brats1066"]


def unknown_message(_: Path) -> list[object]:
    return ["--mute", "FLAIR:PET"]


FAULTS = {
    missing: "T2 is missing",
    unreadable: "case_t2.nii.gz",
    five_channels: "has 5 channels",
    nan_voxels: "not a number",
    pickled: "this is a pickle",
    unknown_decomposition: "neither a file nor a preset",
    unknown_message: "Cannot mute FLAIR:PET",
}


@pytest.mark.parametrize("spoil", FAULTS)
def test_bad_input_is_one_sentence_status_2_and_nothing_half_written(
    spoil: object, case_folder: Path, tiny_checkpoint_path: Path, tmp_path: Path
) -> None:
    """In a process of its own: libraries below us must not print lines of theirs either."""
    extra = [str(word) for word in spoil(case_folder)]
    if "--checkpoint" not in extra:
        extra += ["--checkpoint", str(tiny_checkpoint_path)]
    out = tmp_path / "out"
    command = [sys.executable, "-m", "napari_ciml", "segment", str(case_folder), "-o", str(out)]
    done = subprocess.run([*command, *extra], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("napari-ciml: ")
    assert FAULTS[spoil] in lines[0]
    assert list(out.iterdir()) == []


def test_a_folder_that_cannot_be_written_to(
    case_folder: Path, tiny_checkpoint_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    blocked = case_folder / "case_t1.nii.gz" / "out"
    status = run("segment", case_folder, "-o", blocked, "--checkpoint", tiny_checkpoint_path)
    assert status == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert "cannot write there" in error


@pytest.mark.parametrize(
    "words",
    [
        ("segment",),
        ("segment", "case", "-o", "out", "--device", "abacus"),
        ("phantom", "-o", "out", "--spacing", "0"),
        ("phantom", "-o", "out", "--count", "none"),
        ("train", "data", "-o", "run", "--preset", "brats2020", "--epochs", "0"),
        ("train", "data", "-o", "run", "--preset", "brats2020", "--beta", "nan"),
    ],
)
def test_wrong_usage_is_one_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_evaluate(
    case_folder: Path,
    tiny_checkpoint_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("segment", case_folder, "-o", tmp_path, "--checkpoint", tiny_checkpoint_path) == 0
    result = tmp_path / "segmentation.nii.gz"
    capsys.readouterr()
    assert run("evaluate", result, result, "--regions", "brats2020", "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert [score["region"] for score in scores] == ["WT", "TC", "ET"]
    assert all(score["dice"] == 1 for score in scores)
    assert run("evaluate", result, result, "--regions", "brats2013") == 0
    assert re.search(r"WT +1\.0000 +0\.00", capsys.readouterr().out)


def test_phantom_then_train_then_segment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `phantom` writes `train` reads, and what `train` writes `segment` reads."""
    data, made = tmp_path / "data", ("--kind", "petct", "--spacing", "8", "--count", "3")
    assert run("phantom", "-o", data, *made) == 0
    sizes = ("--base-filters", "2", "--patch", "16", "--largest-patch", "32", "--spacing", "8")
    options = ("--preset", "autopet", *sizes)
    length = ("--epochs", "2", "--iterations", "2", "--norm", "batch", "--held-out", "1")
    training = ("train", data, "-o", tmp_path / "run", *options, *length)
    assert run(*training) == 0
    first = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    assert first.info.training.steps == 4
    assert first.info.patch == (16, 16, 16)
    assert first.info.tile == (32, 32, 32)
    assert first.info.scores[0].region == "lesion"
    assert run(*training, "--resume") == 0
    again = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    for name, value in first.network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), again.network.state_dict()[name].numpy())
    case = data / "petct_0000"
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    assert run("segment", case, "-o", tmp_path / "out", "--checkpoint", checkpoint) == 0
    assert "lesion" in capsys.readouterr().out
    assert run(*training, "--largest-patch", "40") == 2
    assert "--largest-patch 40: must be a multiple of 16" in capsys.readouterr().err


def test_a_bad_cohort_is_listed_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, made = tmp_path / "data", ("--kind", "petct", "--spacing", "8", "--count", "3")
    assert run("phantom", "-o", data, *made) == 0
    next((data / "petct_0000").glob("*_seg*")).unlink()
    next((data / "petct_0002").glob("*_CT*")).unlink()
    capsys.readouterr()
    training = ("train", data, "-o", tmp_path / "run", "--preset", "autopet", "--patch", "32")
    assert run(*training) == 2
    told = capsys.readouterr()
    listed = told.out.strip().splitlines()
    assert listed[0].startswith("note: petct_0000: there is no label map")
    assert listed[1].startswith("note: petct_0002: CT is missing")
    assert told.err.count("\n") == 1
    assert "2 of 3 cases cannot be used" in told.err
    assert "--skip-unusable" in told.err
    assert not list((tmp_path / "run").glob("*.safetensors"))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ablation", "--budget", "paper"), "name their folder with --data"),
        (("faithfulness", "--data", "nowhere"), "there is no such folder"),
        (("report",), "holds no table"),
    ],
)
def test_what_reproduce_cannot_do_is_one_sentence(
    words: tuple[str, ...], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("reproduce", *words, "-o", tmp_path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert expected in error


def test_finetune_tells_before_and_after_and_goes_on_after_ctrl_c(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, made = tmp_path / "data", ("--kind", "petct", "--spacing", "4", "--count", "1")
    assert run("phantom", "-o", data, *made) == 0
    capsys.readouterr()
    old = sample_data() / "petct.safetensors"
    tuning = ("finetune", old, data / "petct_0000", "-o", tmp_path / "run", "--steps", "2")
    step, handler = Trainer.step, signal.getsignal(signal.SIGINT)

    def interrupted(self: Trainer, batch: dict[str, torch.Tensor], number: int) -> list[float]:
        signal.raise_signal(signal.SIGINT)
        return step(self, batch, number)

    monkeypatch.setattr(Trainer, "step", interrupted)
    assert run(*tuning) == 130
    assert "resume with: finetune -o" in capsys.readouterr().out
    assert saved_progress(tmp_path / "run" / "unfinished")[0] == 1
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.setattr(Trainer, "step", step)
    assert run("finetune", "--resume", "-o", tmp_path / "run") == 0
    told = capsys.readouterr().out
    assert re.search(r"lesion +0\.\d{3} +0\.\d{3} +0\.\d{3} +0\.\d{3}", told)
    assert "Selected on a held-out slab of 1 case" in told
    new = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    assert new.info.training.parent == load_checkpoint(old).sha256
    assert new.info.decomposition == load_checkpoint(old).info.decomposition
    assert not (tmp_path / "run" / "unfinished").exists()
    assert run("finetune", "--resume", "-o", tmp_path / "run") == 2
    assert "no fine-tune to resume" in capsys.readouterr().err
    assert run("finetune", "-o", tmp_path / "run") == 2
    assert "cases to learn from, or --resume" in capsys.readouterr().err
    reference = next((data / "petct_0000").glob("*_seg*"))
    sitk.WriteImage(sitk.ReadImage(str(reference)) * 3, str(reference))
    assert run(*tuning) == 2
    assert "has label 3, which is in no region of autopet (1)" in capsys.readouterr().err
    meaning = tmp_path / "threes.yaml"
    meaning.write_text(PRESETS["autopet"].to_yaml().replace("  - 1\n", "  - 3\n"))
    assert run(*tuning, "--regions", meaning) == 0
    tuned = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    assert tuned.info.decomposition == new.info.decomposition
    capsys.readouterr()
    reference.unlink()
    assert run(*tuning) == 2
    assert "has no label map" in capsys.readouterr().err


def test_open_hears_how_to_segment(monkeypatch: pytest.MonkeyPatch, case_folder: Path) -> None:
    heard = []
    monkeypatch.setattr("napari_ciml.cli.virtual_display.ensure_display", lambda _: None)
    monkeypatch.setattr("napari_ciml.widgets.launch.open_viewer", lambda o, **_: heard.append(o))
    asked = ("--mute", "T2:T1", "--no-postprocess", "--test-time-flips", "--multiscale")
    assert main(["open", str(case_folder), *asked]) == 0
    assert main(["open", str(case_folder)]) == 0
    told, plain = heard
    assert told.settings == SegmentSettings(
        muted=frozenset({Message("T2", "T1")}),
        postprocess=False,
        test_time_flips=True,
        multiscale=True,
    )
    assert plain.settings == SegmentSettings()


@pytest.mark.parametrize("mix", ["phantoms", "phantoms=0", "phantoms=1", "=0.2", "phantoms=x"])
def test_a_mixture_is_a_folder_and_a_fraction(mix: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("train", "data", "-o", "run", "--preset", "brats2020", "--mix", mix)
    assert "--mix" in capsys.readouterr().err


def test_mixtures_must_leave_something_for_the_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = ("--mix", "a=0.5", "--mix", "b=0.5")
    assert run("train", tmp_path, "-o", tmp_path / "run", "--preset", "brats2020", *mixed) == 2
    assert "leave nothing for DATA_DIR" in capsys.readouterr().err
