"""Fixtures for all tests: tiny networks and cases, so that nothing here takes long."""

import os
from pathlib import Path

# Nowhere: napari would write its settings dozens of times for each window.
os.environ["NAPARI_CONFIG"] = ""
os.environ.setdefault("MPLBACKEND", "Agg")
# Tiny tensors gain nothing from threads, which wait for each other when something else runs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from helpers.cases import write_case
from helpers.checkpoints import tiny_info
from helpers.paths import ROOT
from napari_ciml.cases.geometry import Grid
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_ciml.network.ciml import CIML


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
