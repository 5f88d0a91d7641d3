from pathlib import Path

import pytest

from napari_ciml.experiments.phantoms import write_phantoms
from napari_ciml.monitor import Monitor
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.presets import PRESETS
from napari_ciml.training.cohort import TrainingCase, load_cohort
from napari_ciml.training.datasets import find_cases
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
    write_phantoms(folder, "petct", 4, 0, 8.0, Monitor())
    return folder


@pytest.fixture(scope="session")
def cohort(
    data: Path, settings: TrainSettings, tmp_path_factory: pytest.TempPathFactory
) -> list[TrainingCase]:
    return load_cohort(find_cases(data), settings, tmp_path_factory.mktemp("cache"), Monitor())
