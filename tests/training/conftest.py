from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.checkpoints import tiny_info
from napari_ciml.cases.datasets import find_cases
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_ciml.network.ciml import CIML
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.phantoms import PhantomSettings, write_phantoms
from napari_ciml.training.cohort import TrainingCase, load_cohort
from napari_ciml.training.settings import TrainSettings


@pytest.fixture(scope="session")
def settings() -> TrainSettings:
    return TrainSettings(
        decomposition=PRESETS["autopet"],
        network=NetworkSettings(base_filters=4, norm="instance"),
        normalisation={"PET": "suv", "CT": "ct"},
        spacing=(8.0, 8.0, 8.0),
        patch=(32, 32, 32),
        epochs=4,
        iterations=5,
        learning_rate=3e-3,
    )


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four PET/CT phantoms on disk; never changed by a test."""
    folder = tmp_path_factory.mktemp("data")
    write_phantoms(folder, PhantomSettings("petct", 8.0), 4, 0, ProgressMonitor())
    return folder


@pytest.fixture(scope="session")
def cohort(
    data: Path, settings: TrainSettings, tmp_path_factory: pytest.TempPathFactory
) -> list[TrainingCase]:
    return load_cohort(
        find_cases(data), settings, tmp_path_factory.mktemp("cache"), ProgressMonitor()
    )


@pytest.fixture
def blind(tmp_path: Path) -> Checkpoint:
    """Random weights that see nothing anywhere, so that anything learnt shows."""
    torch.manual_seed(0)
    whole = PRESETS["autopet"]
    info = tiny_info(whole, base_filters=4)
    network = CIML(whole, info.network)
    for task in whole.subtasks:
        torch.nn.init.constant_(network.segmentor(task.name).output.bias, -3.0)
    save_checkpoint(tmp_path / "old.safetensors", network, info)
    return load_checkpoint(tmp_path / "old.safetensors")


@pytest.fixture
def ball() -> TrainingCase:
    """A bright ball in noise."""
    rng = np.random.default_rng(0)
    z, y, x = np.indices((32, 32, 32)) - 16
    inside = z**2 + y**2 + x**2 < 81
    images = rng.normal(0, 0.3, (2, 32, 32, 32)) + 2 * inside
    return TrainingCase.from_arrays(images.astype(np.float16), inside[None])
