from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file

from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, CimlError, DeviceError, InputError
from napari_ciml.network.ciml import CIML
from napari_ciml.network.encoder import Embeddings, Encoder
from napari_ciml.progress import Progress, ProgressMonitor
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.loop import TrainingData, ema_model, make_fabric, poly_rate, train
from napari_ciml.training.run_folder import RunFolder
from napari_ciml.training.settings import Hardware, TrainSettings
from napari_ciml.training.state import STATE
from napari_ciml.training.trainer import PerSampleNoise, draw_muted

PLAIN = Hardware(device="cpu", precision="32", workers=0)


def curve(folder: Path) -> np.ndarray:
    """Return loss, Dice, cross-entropy and KL of every epoch."""
    names = ("loss", "dice", "cross_entropy", "kl")
    return np.array([[float(row[name]) for name in names] for row in RunFolder(folder).rows()])


def changed(settings: TrainSettings, **values: object) -> TrainSettings:
    return settings.model_copy(update=values)


def stop_at(step: int) -> ProgressMonitor:
    def report(progress: Progress) -> None:
        if progress.done == step:
            monitor.stop.set()

    monitor = ProgressMonitor(report=report)
    return monitor


def test_learning_rate_is_equation_13(settings: TrainSettings) -> None:
    paper = changed(settings, epochs=500, learning_rate=1e-4)
    assert poly_rate(paper, 0) == 1e-4
    assert poly_rate(paper, 250) == pytest.approx(1e-4 * 0.5**0.9)


def test_defaults_are_section_4_2() -> None:
    fields = {name: field.default for name, field in TrainSettings.model_fields.items()}
    assert (fields["epochs"], fields["iterations"], fields["batch_size"]) == (500, 100, 2)
    assert (fields["learning_rate"], fields["weight_decay"]) == (1e-4, 3e-5)
    assert (fields["beta"], fields["patch"]) == (0.5, (64, 64, 64))


def test_loss_falls_and_the_folder_tells_of_the_run(
    cohort: list[TrainingCase], settings: TrainSettings, tmp_path: Path
) -> None:
    network = train(
        TrainingData(cohort[:3], validation=cohort[3:]),
        changed(settings, epochs=6),
        tmp_path,
        ProgressMonitor(),
        hardware=PLAIN,
    )
    loss = curve(tmp_path)[:, 0]
    assert len(loss) == 6
    assert loss[-1] < 0.85 * loss[0]
    rows = RunFolder(tmp_path).rows()
    assert all(0 < float(row["waiting"]) < 1 for row in rows)
    assert all(0 <= float(row["validation_lesion"]) <= 1 for row in rows)
    assert (tmp_path / "curves.png").stat().st_size > 5000
    assert '"lightning-fabric"' in (tmp_path / "environment.json").read_text()
    assert TrainSettings.model_validate_json((tmp_path / "settings.json").read_text()).epochs == 6
    assert isinstance(network, CIML)
    assert not network.training


def test_two_processes_learn_as_one_with_twice_the_batch(
    cohort: list[TrainingCase], settings: TrainSettings, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    # With a large rate, Adam's first steps make much of the rounding of the smallest gradients.
    short = changed(settings, epochs=5, iterations=1, learning_rate=1e-4)
    train(
        TrainingData(cohort),
        changed(short, batch_size=2),
        tmp_path / "one",
        ProgressMonitor(),
        hardware=PLAIN,
    )
    train(
        TrainingData(cohort),
        changed(short, batch_size=1),
        tmp_path / "two",
        ProgressMonitor(),
        hardware=Hardware(device="cpu", devices=2, precision="32", workers=0),
    )
    np.testing.assert_allclose(curve(tmp_path / "two"), curve(tmp_path / "one"), rtol=2e-5)


def test_resume_goes_on_with_the_same_curve(
    cohort: list[TrainingCase], settings: TrainSettings, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    train(TrainingData(cohort), settings, whole, ProgressMonitor(), hardware=PLAIN)
    with pytest.raises(CancelledError):
        train(TrainingData(cohort), settings, broken, stop_at(12), hardware=PLAIN)
    assert len(curve(broken)) == 2
    train(TrainingData(cohort), settings, broken, ProgressMonitor(), hardware=PLAIN, resume=True)
    # The log is written to six digits.
    np.testing.assert_allclose(curve(broken), curve(whole), rtol=1e-5)
    assert (broken / STATE).read_bytes()[:1] != b"\x80"


def test_what_cannot_be_resumed_is_said(
    cohort: list[TrainingCase], settings: TrainSettings, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no run to resume"):
        train(
            TrainingData(cohort), settings, tmp_path, ProgressMonitor(), hardware=PLAIN, resume=True
        )
    with pytest.raises(CancelledError):
        train(TrainingData(cohort), settings, tmp_path, stop_at(6), hardware=PLAIN)
    other = changed(settings, beta=0.1)
    with pytest.raises(InputError, match="other settings"):
        train(TrainingData(cohort), other, tmp_path, ProgressMonitor(), hardware=PLAIN, resume=True)
    (tmp_path / STATE).write_bytes(b"half a file")
    with pytest.raises(InputError, match="damaged"):
        train(
            TrainingData(cohort), settings, tmp_path, ProgressMonitor(), hardware=PLAIN, resume=True
        )


def test_a_gradient_that_is_no_number_is_left_out(
    cohort: list[TrainingCase],
    settings: TrainSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = iter([torch.tensor(float("nan"))] + [torch.tensor(1.0)] * 4)
    monkeypatch.setattr(Fabric, "clip_gradients", lambda *_, **__: next(sizes))
    stepped: list[int] = []
    monkeypatch.setattr(torch.optim.Adam, "step", lambda *_, **__: stepped.append(1))
    train(
        TrainingData(cohort),
        changed(settings, epochs=1),
        tmp_path,
        ProgressMonitor(),
        hardware=PLAIN,
    )
    assert len(stepped) == 4


def test_a_loss_that_is_no_number_ends_the_run_with_the_last_state_kept(
    cohort: list[TrainingCase], settings: TrainSettings, tmp_path: Path
) -> None:
    with pytest.raises(CancelledError):
        train(TrainingData(cohort), settings, tmp_path, stop_at(6), hardware=PLAIN)
    before = (tmp_path / STATE).read_bytes()
    bad = [
        TrainingCase(np.full_like(c.images, np.nan), c.regions, c.foreground_voxels) for c in cohort
    ]
    with pytest.raises(CimlError, match="no longer finite"):
        train(TrainingData(bad), settings, tmp_path, ProgressMonitor(), hardware=PLAIN, resume=True)
    assert (tmp_path / STATE).read_bytes() == before


def test_messages_are_dropped_as_often_as_asked(settings: TrainSettings) -> None:
    often = changed(settings, modality_dropout=0.3, message_dropout=0.0)
    drawn = [draw_muted(PRESETS["brats2020"], often, step) for step in range(400)]
    t1 = [sum(m.auxiliary == "T1" for m in muted) for muted in drawn]
    assert set(t1) == {0, 3}  # everywhere or nowhere
    assert np.mean(np.array(t1) > 0) == pytest.approx(0.3, abs=0.07)
    assert drawn[7] == draw_muted(PRESETS["brats2020"], often, 7)


def test_noise_of_a_patch_does_not_depend_on_its_batch() -> None:
    like, device = torch.zeros(2, 3, 4, 4, 4), torch.device("cpu")
    together = PerSampleNoise(1, [4, 5], device)
    alone = PerSampleNoise(1, [5], device)
    for _ in range(2):  # at one gate after another
        torch.testing.assert_close(together(like)[1:], alone(like[1:]))
    assert together(like)[0].std() == pytest.approx(1, abs=0.2)


def test_when_memory_is_full_activations_are_computed_twice(
    cohort: list[TrainingCase],
    settings: TrainSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The step is taken again and the curve is the same; then there is no way on."""
    short = changed(settings, epochs=2)
    for name in ("plain", "full", "last"):
        (tmp_path / name).mkdir()
    train(TrainingData(cohort[:2]), short, tmp_path / "plain", ProgressMonitor(), hardware=PLAIN)
    forward, last = Encoder.forward, False

    def full(self: Encoder, seen: torch.Tensor) -> Embeddings:
        if torch.is_grad_enabled() and (last or not self.recomputes):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, seen)

    told: list[str] = []
    monkeypatch.setattr(Encoder, "forward", full)
    train(
        TrainingData(cohort[:2]),
        short,
        tmp_path / "full",
        ProgressMonitor(notify=told.append),
        hardware=PLAIN,
    )
    assert told == ["The memory is full; activation checkpointing is now on."]
    np.testing.assert_allclose(curve(tmp_path / "full"), curve(tmp_path / "plain"), rtol=1e-4)
    last = True
    with pytest.raises(DeviceError, match="smaller --patch"):
        train(TrainingData(cohort[:2]), short, tmp_path / "last", ProgressMonitor(), hardware=PLAIN)


@pytest.mark.parametrize(("precision", "expected"), [("32", "32-true"), ("bf16", "bf16-mixed")])
def test_precision_is_as_asked(precision: str, expected: str) -> None:
    fabric = make_fabric(Hardware(device="cpu", precision=precision))  # type: ignore[arg-type]
    assert fabric._precision.precision == expected


def test_the_average_of_the_weights_is_kept_and_resumed(
    cohort: list[TrainingCase], settings: TrainSettings, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    short = changed(settings, ema_decay=0.5)
    expected = train(
        TrainingData(cohort), short, whole, ProgressMonitor(), hardware=PLAIN
    ).state_dict()
    with pytest.raises(CancelledError):
        train(TrainingData(cohort), short, broken, stop_at(12), hardware=PLAIN)
    network = train(
        TrainingData(cohort), short, broken, ProgressMonitor(), hardware=PLAIN, resume=True
    )
    last = load_file(broken / STATE)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)
    name = next(n for n, _ in network.named_parameters())
    assert not torch.equal(network.state_dict()[name], last[f"network.{name}"])


def test_the_average_forgets_faster_at_first() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(0.0)
    average = ema_model(layer, 0.5)
    values, expected = [4.0, 1.0, 3.0], 4.0
    for count, value in enumerate(values):
        layer.weight.data.fill_(value)
        average.update_parameters(layer)
        if count:
            decay = min(0.5, (1 + count) / (10 + count))
            expected = decay * expected + (1 - decay) * value
    assert average.module.weight.item() == pytest.approx(expected)
