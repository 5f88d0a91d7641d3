"""The study of what one case is worth, on coarse phantoms and with a tiny network."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from helpers.cases import write_case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cli import main
from napari_ciml.errors import InputError
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms import PhantomSettings, write_phantoms
from napari_ciml.research.studies.finetuning import FineTuneStudy, measure_finetuning
from napari_ciml.research.studies.report import write_report
from napari_ciml.training.settings import FineTuneSettings

SHORT = FineTuneSettings(steps=1)


@pytest.fixture(autouse=True)
def one_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_phantoms(tmp_path / "samples", PhantomSettings("glioma", 8.0), 1, 0, ProgressMonitor())
    monkeypatch.setattr(
        "napari_ciml.research.studies.finetuning.sample_data", lambda: tmp_path / "samples"
    )


@pytest.fixture
def coarse(tiny_checkpoint: Checkpoint) -> Checkpoint:
    info = tiny_checkpoint.info.model_copy(update={"spacing": (8.0, 8.0, 8.0)})
    return replace(tiny_checkpoint, info=info)


def test_one_phantom_is_learnt_from_and_all_are_measured(
    coarse: Checkpoint, tmp_path: Path
) -> None:
    study = FineTuneStudy(SHORT, ("t1-flair", "pd"), others=1, spacing=8.0, device="cpu")
    table = pd.read_csv(measure_finetuning(coarse, tmp_path, ProgressMonitor(), study))
    for protocol in study.protocols:
        roles = table[table.protocol == protocol].groupby("role").case.nunique().to_dict()
        assert roles == {"trained on": 1, "others": 1, "replay": 1, "standard protocol": 1}
    assert table.before.between(0, 1).all()
    assert set(table.region) == {"WT", "TC", "ET"}
    about = json.loads((tmp_path / "studies" / "finetuning.json").read_text())
    assert about["cases"] == "phantoms"
    assert about["trials"]["pd-0"]["steps"] == 1
    assert about["trials"]["pd-0"]["replay_set"] == "a held-out slab of 1 case"
    others = table[(table.role == "others") & (table.protocol == "pd")].after.mean()
    page = write_report(tmp_path).read_text()
    assert "Fine-tuning on one case (phantoms)" in page
    (row,) = (line for line in page.splitlines() if line.startswith("| pd 1 |"))
    taken = about["trials"]["pd-0"]["interpolation"]
    assert row.split(" | ")[1:3] == ["1", f"{taken:g}"]
    assert row.split(" | ")[4] == f"{others:.3f}"
    # A protocol that is done again takes the place of its rows, and of no others.
    again = replace(study, protocols=("pd",))
    after = pd.read_csv(measure_finetuning(coarse, tmp_path, ProgressMonitor(), again))
    assert after.protocol.tolist() == table.protocol.tolist()


def test_of_real_cases_each_is_learnt_from(coarse: Checkpoint, tmp_path: Path) -> None:
    write_phantoms(tmp_path / "data", PhantomSettings("glioma", 8.0), 2, 7, ProgressMonitor())
    study = FineTuneStudy(SHORT, data=tmp_path / "data", device="cpu")
    table = pd.read_csv(measure_finetuning(coarse, tmp_path / "out", ProgressMonitor(), study))
    learnt = table[table.role == "trained on"].drop_duplicates("trained")
    assert learnt.case.tolist() == learnt.trained.tolist() == [0, 1]
    assert len(list((tmp_path / "out" / "versions").iterdir())) == 2
    assert "glioma" not in (tmp_path / "out" / "studies" / "finetuning-cases.csv").read_text()


def test_one_case_is_too_few(tiny_checkpoint: Checkpoint, tmp_path: Path) -> None:
    write_case(tmp_path / "data" / "a", Grid((8, 8, 8), (8.0, 8.0, 8.0), (0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="one case; the gain is measured on other cases"):
        measure_finetuning(
            tiny_checkpoint,
            tmp_path,
            ProgressMonitor(),
            FineTuneStudy(SHORT, data=tmp_path / "data"),
        )


def test_the_command_knows_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["reproduce", "finetuning", "-o", str(tmp_path), "--checkpoint", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
