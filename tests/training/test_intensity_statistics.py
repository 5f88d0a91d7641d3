from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.checkpoints import tiny_info
from napari_ciml.cases.datasets import LabelledCase, find_cases
from napari_ciml.cases.intensity import IntensityStatistics, normalise
from napari_ciml.cases.preprocessing import preprocess
from napari_ciml.cli import main
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.network.checkpoint import save_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo, read_info
from napari_ciml.network.ciml import CIML
from napari_ciml.network.model_card import render_model_card
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training import intensity_statistics
from napari_ciml.training.intensity_statistics import resolve_dataset_normalisation, statistics_of
from napari_ciml.training.run import run
from napari_ciml.training.run_plan import RunPlan
from napari_ciml.training.settings import Hardware, TrainSettings, paper_settings

HU = IntensityStatistics(low=-20, high=100, mean=40, deviation=20, unit="HU")


@pytest.fixture
def asked(settings: TrainSettings) -> TrainSettings:
    return settings.model_copy(update={"normalisation": {"PET": "suv", "CT": "dataset"}})


def test_a_scale_clips_then_subtracts_then_divides() -> None:
    values = np.array([[[-1000.0, -20, 40, 60, 3000]]])
    seen = normalise(values, np.ones_like(values, bool), HU)
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen.ravel(), [-3, -3, 0, 1, 3])


def test_percentiles_mean_and_deviation_of_known_values() -> None:
    found = statistics_of(np.arange(201.0), "HU")
    assert (found.low, found.high, found.mean) == pytest.approx((1, 199, 100))
    assert found.deviation == pytest.approx(np.sqrt((201**2 - 1) / 12))
    with pytest.raises(ValueError, match="deviation"):
        statistics_of(np.full(9, 40.0), "HU")


def test_of_the_regions_alone_each_case_counting_alike(
    asked: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lesions of 10 voxels at 0 HU and 100 at 100 HU: the mean is 50, whatever lies around."""
    one, other, none = (np.zeros((5, 5, 10), np.uint8) for _ in range(3))
    one[0, 0], other[:2] = 1, 1
    cases = {"a": (one, 0.0), "b": (other, 100.0), "c": (none, 9999.0)}

    def read(case: LabelledCase, _: object) -> SimpleNamespace:
        labels, value = cases[case.name]
        ct = np.where(labels, np.float32(value), np.float32(-1000))
        return SimpleNamespace(images={"CT": ct}, units={}, sources={}, name=case.name)

    monkeypatch.setattr(LabelledCase, "open", read)
    monkeypatch.setattr(intensity_statistics, "read_label_map", lambda _, case: cases[case.name][0])
    listed = [LabelledCase(name, tmp_path / name, tmp_path / name) for name in cases]
    monkeypatch.setattr(intensity_statistics, "digest", lambda case, _: case.name)
    found = resolve_dataset_normalisation(
        asked, listed, tmp_path / "cache", ProgressMonitor()
    ).normalisation
    assert found == {
        "PET": "suv",
        "CT": IntensityStatistics(low=0, high=100, mean=50, deviation=50, unit="HU"),
    }
    with pytest.raises(InputError, match=r"No case has a voxel in any region.*--normalise CT=ct"):
        resolve_dataset_normalisation(asked, listed[2:], tmp_path / "cache", ProgressMonitor())
    with pytest.raises(InputError, match="CT hardly varies"):
        resolve_dataset_normalisation(asked, listed[:1], tmp_path / "cache", ProgressMonitor())


def test_a_run_measures_its_training_cases_and_the_checkpoint_knows(
    data: Path, asked: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = asked.model_copy(update={"epochs": 1, "iterations": 2})
    hardware = Hardware(device="cpu", precision="32", workers=0)
    plan = RunPlan(data, tmp_path / "run", short, hardware, held_out=1)
    run(plan, ProgressMonitor())
    info = read_info(plan.output / "checkpoint.safetensors")
    scale = info.normalisation["CT"]
    assert isinstance(scale, IntensityStatistics)
    assert scale.unit == "HU"
    assert -200 < scale.low < scale.mean < scale.high < 200
    # What is kept beside the prepared cases is not measured again, so a resumed run is the same.
    monkeypatch.setattr(LabelledCase, "open", lambda *_: pytest.fail("read again"))
    again = resolve_dataset_normalisation(
        asked, find_cases(data)[:3], plan.output / "cache", ProgressMonitor()
    )
    assert again.normalisation == info.normalisation
    assert f"HU, clipped to {scale.low:.4g}" in render_model_card(info)


def test_weights_to_begin_with_keep_the_scale_they_know(
    data: Path, asked: TrainSettings, tmp_path: Path
) -> None:
    info = tiny_info(PRESETS["autopet"]).model_copy(
        update={"normalisation": {"PET": "suv", "CT": HU}}
    )
    save_checkpoint(tmp_path / "a.safetensors", CIML(info.decomposition, info.network), info)
    cases = find_cases(data)
    found = resolve_dataset_normalisation(
        asked, cases, tmp_path, ProgressMonitor(), start=tmp_path / "a.safetensors"
    )
    assert found.normalisation["CT"] == HU


def test_what_has_no_units_is_refused_and_cancel_leaves_nothing(
    data: Path, asked: TrainSettings, tmp_path: Path
) -> None:
    strange = asked.model_copy(update={"normalisation": {"T1": "dataset"}})
    with pytest.raises(InputError, match="--normalise T1=zscore"):
        resolve_dataset_normalisation(strange, find_cases(data), tmp_path, ProgressMonitor())
    monitor = ProgressMonitor(report=lambda _: monitor.stop.set())
    with pytest.raises(CancelledError):
        resolve_dataset_normalisation(asked, find_cases(data), tmp_path, monitor)
    assert not list(tmp_path.glob("intensities*"))


def test_ct_is_normalised_by_its_data_set_by_default() -> None:
    for name in ("autopet", "hecktor2022"):
        assert paper_settings(PRESETS[name]).normalisation == {"PET": "suv", "CT": "dataset"}
    assert set(paper_settings(PRESETS["brats2020"]).normalisation.values()) == {"zscore"}


@pytest.mark.parametrize("how", ["dataset", {**HU.model_dump(), "deviation": 0}, {"low": 1}])
def test_a_checkpoint_without_a_sound_scale_is_refused(how: object) -> None:
    fields = tiny_info(PRESETS["autopet"]).model_dump(mode="json")
    with pytest.raises(ValueError, match=r"normalisation|intensity statistics"):
        CheckpointInfo.model_validate(fields | {"normalisation": {"PET": "suv", "CT": how}})


def test_a_pet_scale_wants_suv(data: Path) -> None:
    case = find_cases(data)[0].open(("PET", "CT"))
    scale = HU.model_copy(update={"unit": "SUV"})
    wrong = SimpleNamespace(**{**vars(case), "units": {"PET": "Bq/mL", "CT": "HU"}})
    with pytest.raises(InputError, match="requires SUV"):
        preprocess(wrong, ("PET", "CT"), (8.0,) * 3, {"PET": scale, "CT": HU}, ProgressMonitor())


@pytest.mark.parametrize("text", ["CT=guess", "T1=zscore", "CT"])
def test_a_normalisation_that_cannot_be_is_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["train", str(tmp_path), "-o", str(tmp_path), "--preset", "autopet"]
    assert main([*asked, "--normalise", text]) == 2
    assert "one of PET, CT and one of zscore, ct, suv, dataset" in capsys.readouterr().err
