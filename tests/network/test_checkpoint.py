import json
import os
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from helpers.checkpoints import tiny_info
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CheckpointError
from napari_ciml.network import checkpoint as module
from napari_ciml.network.checkpoint import load_checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import (
    METADATA_KEY,
    CheckpointInfo,
    Score,
    TrainingRecord,
    file_hash,
    read_info,
)
from napari_ciml.network.ciml import CIML


def saved(folder: Path, dtype: torch.dtype = torch.float32, **settings: object) -> Path:
    torch.manual_seed(3)
    info = tiny_info(PRESETS["flair-t1ce"], **settings)
    path = folder / "net.safetensors"
    save_checkpoint(path, CIML(info.decomposition, info.network), info, dtype)
    return path


def with_metadata(path: Path, **changes: object) -> Path:
    fields = json.loads(read_info(path).model_dump_json()) | changes
    save_file(load_file(path), path, metadata={METADATA_KEY: json.dumps(fields)})
    return path


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_round_trip(tmp_path: Path, norm: str) -> None:
    info = tiny_info(PRESETS["flair-t1ce"], norm=norm)
    info = info.model_copy(update={"scores": (Score(data="x", region="WT", cases=3, dice=0.5),)})
    network = CIML(info.decomposition, info.network).eval()
    save_checkpoint(tmp_path / "a.safetensors", network, info)
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert loaded.info == info
    assert loaded.sha256 == file_hash(tmp_path / "a.safetensors")
    images = {m: torch.randn(1, 1, 32, 32, 32) for m in ("FLAIR", "T1CE")}
    for name, prediction in network(images).items():
        torch.testing.assert_close(loaded.network(images)[name].logits, prediction.logits)


def test_half_precision_is_half_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    full = saved(tmp_path).stat().st_size
    half = saved(tmp_path, torch.float16)
    assert half.stat().st_size < 0.65 * full
    assert {p.dtype for p in load_checkpoint(half).network.parameters()} == {torch.float32}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_every_tensor_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    """Batch norm's statistics and its counter of batches too, rounded only where asked for."""
    info = tiny_info(PRESETS["flair-t1ce"], norm="batch")
    network = CIML(info.decomposition, info.network)
    network({m: torch.randn(2, 1, 16, 16, 16) for m in ("FLAIR", "T1CE")})
    save_checkpoint(tmp_path / "a.safetensors", network, info, dtype)
    found = load_checkpoint(tmp_path / "a.safetensors").network
    assert not found.training
    assert not any(p.requires_grad for p in found.parameters())
    loaded = found.state_dict()
    assert list(loaded) == list(network.state_dict())
    for name, value in network.state_dict().items():
        rounded = value.to(dtype).to(value.dtype) if value.is_floating_point() else value
        assert torch.equal(loaded[name], rounded), name
        assert loaded[name].dtype == value.dtype


def test_a_loaded_network_outlives_its_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    network = load_checkpoint(path).network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    saved(tmp_path, base_filters=3)
    path.unlink()
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_others_may_read_it_as_they_may_any_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert saved(tmp_path).stat().st_mode == plain.stat().st_mode


def test_saving_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()

    def dies(_: object, target: Path, **__: object) -> None:
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_file", dies)
    with pytest.raises(KeyboardInterrupt):
        saved(tmp_path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()

    def fails(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os if broken == "fsync" else Path, broken, fails)
    with pytest.raises(Exception, match="no space left"):
        saved(tmp_path, base_filters=3)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


class Payload:
    """What a hostile pickle does when it is opened."""

    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("the pickle was opened",)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Payload()))


def old_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(), protocol=2))


def torch_saved(path: Path) -> None:
    torch.save({"weights": torch.zeros(3), "code": Payload()}, path)


def torch_saved_long_ago(path: Path) -> None:
    torch.save({"code": Payload()}, path, _use_new_zipfile_serialization=False)


def text_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Payload(), protocol=0))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


def folder(path: Path) -> None:
    path.mkdir()


def truncated(path: Path) -> None:
    content = saved(path.parent).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def last_byte_gone(path: Path) -> None:
    path.write_bytes(saved(path.parent).read_bytes()[:-1])


def header_truncated(path: Path) -> None:
    path.write_bytes(saved(path.parent).read_bytes()[:100])


def foreign(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path)


def newer(path: Path) -> None:
    with_metadata(saved(path.parent), format_version=3).rename(path)


def other_network(path: Path) -> None:
    with_metadata(saved(path.parent), architecture="unet").rename(path)


def damaged(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path, metadata={METADATA_KEY: "{"})


def other_json(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path, metadata={METADATA_KEY: "[1, 2]"})


def contradicting(path: Path) -> None:
    made = saved(path.parent)
    fields = json.loads(read_info(made).model_dump_json())
    fields["decomposition"]["subtasks"][0]["auxiliaries"] = ["FLAIR"]
    with_metadata(made, decomposition=fields["decomposition"]).rename(path)


def unknown_field(path: Path) -> None:
    with_metadata(saved(path.parent), surprise=1).rename(path)


def newer_with_fields_of_its_own(path: Path) -> None:
    with_metadata(saved(path.parent), format_version=9, surprise=1, spacing="fine").rename(path)


def incomplete(path: Path) -> None:
    with_metadata(saved(path.parent), spacing=[1, 2]).rename(path)


def nothing(path: Path) -> None:
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (pickled, "pickle"),
        (old_pickle, "pickle"),
        (torch_saved, "pickle"),
        (torch_saved_long_ago, "pickle"),
        (text_pickle, "not a complete"),
        (empty, "not a complete"),
        (no_header, "not a complete"),
        (truncated, "not a complete"),
        (header_truncated, "not a complete"),
        (last_byte_gone, "not a complete"),
        (foreign, "not written by napari-ciml"),
        (newer, "format 2"),
        (newer_with_fields_of_its_own, "format 9"),
        (other_network, "'unet' network"),
        (damaged, "description is damaged"),
        (other_json, "description is damaged"),
        (contradicting, "description is damaged"),
        (unknown_field, "description is damaged"),
        (incomplete, "description is damaged"),
        (nothing, "no such checkpoint"),
        (folder, "no such checkpoint"),
    ],
)
def test_refused_with_the_reason(tmp_path: Path, make: object, said: str) -> None:
    path = tmp_path / "bad.safetensors"
    make(path)
    for read in (read_info, load_checkpoint):
        with pytest.raises(CheckpointError, match=said) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


class NoWeights:
    """An open file of which no weight may be read."""

    def __init__(self, path: Path, framework: str) -> None:
        self.file = safe_open(path, framework)

    def __enter__(self) -> "NoWeights":
        return self

    def __exit__(self, *_: object) -> None:
        del self.file

    def __getattr__(self, name: str) -> object:
        assert name != "get_tensor", "a weight was read"
        return getattr(self.file, name)


@pytest.mark.parametrize("fault", ["missing", "extra", "shape", "other widths"])
def test_weights_that_are_not_the_networks_are_refused_before_any_is_read(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path)
    info, tensors = read_info(path), load_file(path)
    first, number = sorted(tensors)[0], "1"
    if fault == "missing":
        del tensors[first]
    elif fault == "extra":
        tensors["extra"] = torch.zeros(1)
    elif fault == "shape":
        tensors[first] = torch.zeros(1, 2, 3)
    else:
        wider = info.network.model_copy(update={"base_filters": 4})
        info, number = info.model_copy(update={"network": wider}), r"\d\d+"
    save_file(tensors, path, metadata={METADATA_KEY: info.model_dump_json()})
    monkeypatch.setattr(module, "safe_open", NoWeights)
    with pytest.raises(CheckpointError, match=rf"{number} weights \(first: "):
        load_checkpoint(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, value: float) -> None:
    path = saved(tmp_path)
    info, tensors = read_info(path), load_file(path)
    last = sorted(name for name, tensor in tensors.items() if tensor.is_floating_point())[-1]
    tensors[last].view(-1)[-1] = value
    save_file(tensors, path, metadata={METADATA_KEY: info.model_dump_json()})
    with pytest.raises(CheckpointError, match=rf"{re.escape(last)}.* not finite"):
        load_checkpoint(path)


def test_description_round_trip() -> None:
    record = TrainingRecord(
        data="phantoms", cases=3, steps=9, seed=4, options={"beta": 0.5, "amp": True}, parent="ab"
    )
    info = tiny_info(PRESETS["brats2020"]).model_copy(update={"training": record})
    back = CheckpointInfo.model_validate_json(info.model_dump_json())
    assert back == info
    assert back.training.options["amp"] is True
