"""Fixtures for all tests: tiny networks and cases, so that nothing here takes long."""

import os
from pathlib import Path

# Nowhere: napari would write its settings dozens of times for each window.
os.environ["NAPARI_CONFIG"] = ""
os.environ.setdefault("MPLBACKEND", "Agg")
# Tiny tensors gain nothing from threads, which wait for each other when something else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.write import write_volume
from napari_ciml.decomposition import Decomposition
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo, TrainingRecord
from napari_ciml.network.ciml import CIML
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.presets import PRESETS

ROOT = Path(__file__).parents[1]


def tiny_info(decomposition: Decomposition, **settings: object) -> CheckpointInfo:
    """Describe a network of two base filters at 4 mm."""
    network = NetworkSettings(**{"base_filters": 2, "norm": "instance", **settings})
    return CheckpointInfo(
        name="tiny",
        decomposition=decomposition,
        network=network,
        spacing=(4.0, 4.0, 4.0),
        patch=(32, 32, 32),
        normalisation=dict.fromkeys(decomposition.used_modalities, "zscore"),
        training=TrainingRecord(data="nothing", cases=0, steps=0, seed=0),
    )


@pytest.fixture(scope="session")
def tiny_checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights for the default decomposition."""
    import torch

    torch.manual_seed(0)
    info = tiny_info(PRESETS["brats2020"])
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors"
    save_checkpoint(path, CIML(info.decomposition, info.network), info)
    return path


@pytest.fixture
def tiny_checkpoint(tiny_checkpoint_path: Path) -> Checkpoint:
    return load_checkpoint(tiny_checkpoint_path)


def write_case(folder: Path, grid: Grid, seed: int = 0, names: str = "flair t1 t1ce t2") -> Path:
    """Write modalities of a ball of noise in a zero background."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    z, y, x = (np.linspace(-1.2, 1.2, n) for n in grid.shape)
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < 1
    for name in names.split():
        image = np.where(inside, rng.normal(500, 100, grid.shape), 0).astype(np.float32)
        write_volume(folder / f"case_{name}.nii.gz", image, grid)
    return folder


@pytest.fixture
def case_folder(tmp_path: Path) -> Path:
    """A folder with the four MR modalities of a ball of noise, 3 mm voxels."""
    return write_case(tmp_path / "case", Grid((48, 44, 40), (3.0, 3.0, 3.0), (-70.0, -60.0, -50.0)))


@pytest.fixture
def real_data() -> Path:
    """The folder of real cases, or skip."""
    folder = Path(os.environ.get("CIML_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "TCGA-DU-7294").is_dir():
        pytest.skip("the real cases are not here; set CIML_REAL_DATA")
    return folder


@pytest.fixture(autouse=True)
def torch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take OpenVINO only where a test asks for it: it compiles each network for some seconds."""
    monkeypatch.setattr("napari_ciml.inference.device.has_openvino", lambda: False)
