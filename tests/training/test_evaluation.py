"""What a checkpoint is worth on a data set, with every subset of its modalities."""

import csv
from pathlib import Path

import pytest
import torch

from napari_ciml.cases.datasets import find_cases
from napari_ciml.network.checkpoint import load_checkpoint, stored_dtype
from napari_ciml.network.checkpoint_info import read_info
from napari_ciml.paths import sample_data
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.evaluation import evaluate_checkpoint
from napari_ciml.training.scoring import score


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_subset_is_measured(data: Path, tmp_path: Path) -> None:
    checkpoint, cases = load_checkpoint(sample_data() / "petct.safetensors"), find_cases(data)[:2]
    copy = tmp_path / "copy.safetensors"
    page = evaluate_checkpoint(checkpoint, cases, "cpu", ProgressMonitor(), tmp_path, copy)
    rows = table(tmp_path / "scores.csv")
    assert {row["modalities"] for row in rows} == {"PET+CT", "PET", "CT"}
    assert {row["case"] for row in rows} == {case.key for case in cases}
    whole = [float(row["dice"]) for row in rows if row["modalities"] == "PET+CT"]
    expected = score(cases, [checkpoint], "cpu", ProgressMonitor())
    assert whole == pytest.approx([one.dice for one in expected])
    assert stored_dtype(copy) == stored_dtype(checkpoint.path) == torch.float16
    usual = {(w.primary, w.auxiliary): w for w in read_info(copy).weight_statistics}
    assert usual.keys() == {("PET", "CT"), ("CT", "PET")}
    for weight in usual.values():  # the only auxiliary has all the weight
        assert (weight.region, weight.mean, weight.sd) == ("lesion", 1.0, 0.0)
        assert 1 <= weight.cases <= len(cases)
    assert len(table(tmp_path / "weights.csv")) == 2
    (calibration,) = table(tmp_path / "calibration.csv")
    assert 0 < float(calibration["error"]) < 0.2
    mean = sum(whole) / len(whole)
    assert f"| PET+CT | {mean:.3f} +-" in page.read_text()
    assert "| lesion |" in page.read_text()
