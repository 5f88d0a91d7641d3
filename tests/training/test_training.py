from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ciml.cases.intensity import Normalisation
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.experiments.phantoms import write_phantoms
from napari_ciml.monitor import Monitor, Progress
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.presets import PRESETS
from napari_ciml.training.cohort import TrainingCase, case_folders, find_reference, load_cohort
from napari_ciml.training.loop import LOG, STATE, draw_muted, poly_rate, train
from napari_ciml.training.patches import draw_patch
from napari_ciml.training.settings import TrainSettings

NORMALISATION: dict[str, Normalisation] = {"PET": "suv", "CT": "ct"}
SETTINGS = TrainSettings(
    decomposition=PRESETS["autopet"],
    network=NetworkSettings(base_filters=4, norm="instance"),
    normalisation=NORMALISATION,
    spacing=(8.0, 8.0, 8.0),
    patch=(32, 32, 32),
    epochs=4,
    iterations=5,
    learning_rate=3e-3,
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingCase]:
    folder = tmp_path_factory.mktemp("cohort")
    write_phantoms(folder, "petct", 3, 0, 8.0, Monitor())
    return load_cohort(case_folders(folder), SETTINGS, Monitor())


def losses(folder: Path) -> list[float]:
    rows = (folder / LOG).read_text().splitlines()[1:]
    return [float(row.split(",")[2]) for row in rows]


def test_learning_rate_is_equation_13() -> None:
    settings = SETTINGS.model_copy(update={"epochs": 500, "learning_rate": 1e-4})
    assert poly_rate(settings, 0) == 1e-4
    assert poly_rate(settings, 250) == pytest.approx(1e-4 * 0.5**0.9)


def test_defaults_are_section_4_2() -> None:
    fields = TrainSettings.model_fields
    assert {name: fields[name].default for name in ("epochs", "iterations", "batch_size")} == {
        "epochs": 500,
        "iterations": 100,
        "batch_size": 2,
    }
    assert (fields["learning_rate"].default, fields["weight_decay"].default) == (1e-4, 3e-5)
    assert (fields["beta"].default, fields["patch"].default) == (0.5, (64, 64, 64))


def test_loss_falls(cohort: list[TrainingCase], tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 6})
    train(cohort, settings, tmp_path, Monitor())
    found = losses(tmp_path)
    assert len(found) == 6
    assert found[-1] < 0.8 * found[0]


def test_a_gradient_that_is_no_number_is_left_out(
    cohort: list[TrainingCase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter([torch.tensor(float("nan"))] + [torch.tensor(1.0)] * 4)
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: next(sizes))
    stepped: list[int] = []
    monkeypatch.setattr(torch.optim.Adam, "step", lambda _: stepped.append(1))
    train(cohort, SETTINGS.model_copy(update={"epochs": 1}), tmp_path, Monitor())
    assert len(stepped) == 4


def test_resume_after_a_cancel_goes_on_where_it_was(
    cohort: list[TrainingCase], tmp_path: Path
) -> None:
    def report(progress: Progress) -> None:
        if progress.done == 12:
            monitor.stop.set()

    monitor = Monitor(report=report)
    with pytest.raises(CancelledError):
        train(cohort, SETTINGS, tmp_path, monitor)
    assert len(losses(tmp_path)) == 2
    train(cohort, SETTINGS, tmp_path, Monitor(), resume=True)
    assert len(losses(tmp_path)) == 4
    other = SETTINGS.model_copy(update={"beta": 0.1})
    with pytest.raises(InputError, match="other settings"):
        train(cohort, other, tmp_path, Monitor(), resume=True)
    with pytest.raises(InputError, match="no run to resume"):
        train(cohort, SETTINGS, tmp_path / "elsewhere", Monitor(), resume=True)
    assert (tmp_path / STATE).read_bytes()[:1] != b"\x80"


def test_messages_are_dropped_as_often_as_asked() -> None:
    settings = SETTINGS.model_copy(update={"modality_dropout": 0.3, "message_dropout": 0.0})
    rng = np.random.default_rng(0)
    drawn = [draw_muted(PRESETS["brats2020"], settings, rng) for _ in range(400)]
    t1 = [sum(m.auxiliary == "T1" for m in muted) for muted in drawn]
    assert set(t1) == {0, 3}  # everywhere or nowhere
    assert np.mean(np.array(t1) > 0) == pytest.approx(0.3, abs=0.07)


def test_patches_are_centred_on_regions_and_padded() -> None:
    images = np.arange(2 * 20 * 20 * 20, dtype=np.float16).reshape(2, 20, 20, 20) + 1
    regions = np.zeros((1, 20, 20, 20), bool)
    regions[0, 18, 18, 18] = True
    case = TrainingCase(images, regions, np.argwhere(regions[0]).astype(np.int16))
    rng = np.random.default_rng(0)
    always = SETTINGS.model_copy(update={"patch": (16, 16, 16), "foreground_share": 1.0})
    assert all(draw_patch(case, always, rng)["regions"].sum() == 1 for _ in range(20))
    large = SETTINGS.model_copy(update={"patch": (32, 16, 16)})
    patch = draw_patch(case, large, rng)["image"]
    assert patch.shape == (2, 32, 16, 16)
    assert (patch[0].flatten(1).max(1).values > 0).sum() == 20
    assert patch.dtype == torch.float32


def test_reference_of_a_case(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 label maps"):
        find_reference(tmp_path)
    (tmp_path / "a_seg.nii.gz").touch()
    assert find_reference(tmp_path).name == "a_seg.nii.gz"
    (tmp_path / "b_seg.nii.gz").touch()
    with pytest.raises(InputError, match="2 label maps"):
        find_reference(tmp_path)
