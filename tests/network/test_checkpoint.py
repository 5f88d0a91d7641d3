import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from conftest import tiny_info
from napari_ciml.errors import CheckpointError
from napari_ciml.network import checkpoint as module
from napari_ciml.network.checkpoint import load_checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import (
    METADATA_KEY,
    CheckpointInfo,
    Score,
    file_hash,
    read_info,
)
from napari_ciml.network.ciml import CIML
from napari_ciml.presets import PRESETS


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


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": np.zeros(3)}))


def torch_saved(path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, path)


def truncated(path: Path) -> None:
    content = saved(path.parent).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def foreign(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path)


def newer(path: Path) -> None:
    with_metadata(saved(path.parent), format_version=2).rename(path)


def other_network(path: Path) -> None:
    with_metadata(saved(path.parent), architecture="unet").rename(path)


def damaged(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path, metadata={METADATA_KEY: "{"})


def incomplete(path: Path) -> None:
    with_metadata(saved(path.parent), spacing=[1, 2]).rename(path)


def nothing(path: Path) -> None:
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (pickled, "pickle"),
        (torch_saved, "pickle"),
        (truncated, "not a complete"),
        (foreign, "not written by napari-ciml"),
        (newer, "format 2"),
        (other_network, "'unet' network"),
        (damaged, "description is damaged"),
        (incomplete, "description is damaged"),
        (nothing, "no such checkpoint"),
    ],
)
def test_refused_with_the_reason(tmp_path: Path, make: object, said: str) -> None:
    path = tmp_path / "bad.safetensors"
    make(path)
    for read in (read_info, load_checkpoint):
        with pytest.raises(CheckpointError, match=said) as caught:
            read(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("fault", ["missing", "extra", "shape"])
def test_weights_that_are_not_the_networks_are_refused_before_any_is_read(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path)
    info, tensors = read_info(path), load_file(path)
    first = sorted(tensors)[0]
    if fault == "missing":
        del tensors[first]
    elif fault == "extra":
        tensors["extra"] = torch.zeros(1)
    else:
        tensors[first] = torch.zeros(1, 2, 3)
    save_file(tensors, path, metadata={METADATA_KEY: info.model_dump_json()})
    monkeypatch.setattr(CIML, "load_state_dict", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(CheckpointError, match="1 weights"):
        load_checkpoint(path)


def test_description_round_trip() -> None:
    info = tiny_info(PRESETS["brats2020"])
    assert CheckpointInfo.model_validate_json(info.model_dump_json()) == info
