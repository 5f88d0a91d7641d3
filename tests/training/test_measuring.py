"""What a checkpoint is worth on a data set, with every subset of its modalities."""

import csv
from pathlib import Path

import pytest

from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import load_checkpoint
from napari_ciml.resources import sample_data
from napari_ciml.training.datasets import find_cases
from napari_ciml.training.measuring import measure
from napari_ciml.training.scoring import score


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_subset_is_measured(data: Path, tmp_path: Path) -> None:
    checkpoint, cases = load_checkpoint(sample_data() / "petct.safetensors"), find_cases(data)[:2]
    page = measure(checkpoint, cases, "cpu", Monitor(), tmp_path)
    rows = table(tmp_path / "scores.csv")
    assert {row["modalities"] for row in rows} == {"PET+CT", "PET", "CT"}
    assert {row["case"] for row in rows} == {case.key for case in cases}
    whole = [float(row["dice"]) for row in rows if row["modalities"] == "PET+CT"]
    expected = score(cases, [checkpoint], "cpu", Monitor())
    assert whole == pytest.approx([one.dice for one in expected])
    (calibration,) = table(tmp_path / "calibration.csv")
    assert 0 < float(calibration["error"]) < 0.2
    mean = sum(whole) / len(whole)
    assert f"| PET+CT | {mean:.3f} +-" in page.read_text()
    assert "| lesion |" in page.read_text()
