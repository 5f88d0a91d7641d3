import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.checkpoints import tiny_info
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CheckpointError, InputError
from napari_ciml.network.checkpoint import save_checkpoint
from napari_ciml.network.checkpoint_info import METADATA_KEY, read_info
from napari_ciml.network.ciml import CIML

INFO = tiny_info(PRESETS["flair-t1ce"])


def described(path: Path, text: str) -> Path:
    save_file({"a": torch.zeros(1)}, path, metadata={METADATA_KEY: text})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"format_version": "3"},
        {"format_version": 3.0},
        {"format_version": 0},
        {"format_version": None},
        {"spacing": [1, 0, 1]},
        {"spacing": [1, -2, 1]},
        {"spacing": [1, float("inf"), 1]},
        {"spacing": [1, 1e-9, 1]},
        {"spacing": [1, 0.1, 1]},
        {"spacing": [1e300, 1, 1]},
        {"postprocessing": {"temperatures": {"WT": 1e300}}},
        {"postprocessing": {"temperatures": {"WT": 1e-300}}},
        {"postprocessing": {"min_component_ml": {"WT": 1e300}}},
        {"patch": [32, 32, 10**9 // 16 * 16]},
        {"patch": [0, 32, 32]},
        {"patch": [40, 32, 32]},
        {"normalisation": {"FLAIR": "zscore"}},
        {"normalisation": {"FLAIR": "zscore", "T1CE": "guess"}},
    ],
    ids=str,
)
def test_a_description_nothing_can_work_with_is_refused(tmp_path: Path, changes: dict) -> None:
    fields = json.loads(INFO.model_dump_json()) | changes
    with pytest.raises(CheckpointError, match=r"damaged|format"):
        read_info(described(tmp_path / "a.safetensors", json.dumps(fields)))


@pytest.mark.parametrize("length", [0x0280, 0x0380, 0x0480, 0x10580])
def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path, length: int) -> None:
    path = described(tmp_path / "a.safetensors", INFO.model_dump_json())
    content = path.read_bytes()
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    padded = header.ljust(-(-(len(header) - length) // 0x10000) * 0x10000 + length)
    path.write_bytes(len(padded).to_bytes(8, "little") + padded + content[8 + len(header) :])
    assert read_info(path) == INFO


def test_json_nested_to_exhaust_the_stack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        read_info(described(tmp_path / "a.safetensors", "[" * 200_000))


def test_a_folder_that_cannot_take_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        save_checkpoint(
            tmp_path / "no" / "a.safetensors", CIML(INFO.decomposition, INFO.network), INFO
        )


def test_a_disk_that_fills_up_while_the_weights_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(_: object, target: Path, **__: object) -> None:
        target.write_bytes(b"half")
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr("napari_ciml.network.checkpoint.save_file", full)
    with pytest.raises(InputError, match="no space left on device"):
        save_checkpoint(tmp_path / "a.safetensors", CIML(INFO.decomposition, INFO.network), INFO)
    assert [*tmp_path.iterdir()] == []
