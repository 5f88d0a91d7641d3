"""A cohort: cases with a reference, brought into the model's space once and kept in memory."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ciml.cases.case import open_case
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.model_space import labels_to_model_space, to_model_space
from napari_ciml.cases.write import read_label_map
from napari_ciml.errors import InputError
from napari_ciml.monitor import Monitor
from napari_ciml.training.settings import TrainSettings


@dataclass(frozen=True)
class TrainingCase:
    """One case in the model's space.

    Parameters
    ----------
    images : numpy.ndarray
        Normalised modalities in the decomposition's order, (M, Z, Y, X) float16.
    regions : numpy.ndarray
        Masks in the decomposition's order, (R, Z, Y, X) bool.
    inside : numpy.ndarray
        Voxels of any region, (N, 3) int16, to centre patches on.
    """

    images: np.ndarray
    regions: np.ndarray
    inside: np.ndarray


def find_reference(folder: Path) -> Path:
    """Return the reference label map of a case folder: the one volume with ``seg`` in its name.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    found = [path for path in sorted(folder.iterdir()) if "seg" in path.name.lower().split(".")[0]]
    if len(found) != 1:
        raise InputError(
            f"{folder}: {len(found)} label maps with 'seg' in their name; exactly one is needed."
        )
    return found[0]


def case_folders(folder: Path) -> list[Path]:
    """Return the case folders below ``folder``, sorted by name.

    Raises
    ------
    InputError
        If there is none.
    """
    found = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not found:
        raise InputError(f"{folder}: holds no case folders; point to a folder of cases.")
    return found


def load_cohort(
    folders: list[Path], settings: TrainSettings, monitor: Monitor
) -> list[TrainingCase]:
    """Read every case and its reference.

    Raises
    ------
    InputError
        For the first case that cannot be used.
    """
    cases = []
    for done, folder in enumerate(folders):
        monitor.step("Reading cases", done, len(folders))
        cases.append(_load(folder, settings))
    return cases


def _load(folder: Path, settings: TrainSettings) -> TrainingCase:
    modalities = settings.decomposition.used_modalities
    case = open_case(folder, needed=modalities)
    seen = to_model_space(case, modalities, settings.spacing, settings.normalisation, Monitor())
    labels = labels_to_model_space(read_label_map(find_reference(folder), case), seen.grid, case)
    masks = region_masks(labels, settings.decomposition.regions)
    regions = np.stack([masks[name] for name in settings.decomposition.region_names])
    images = np.stack([seen.images[name] for name in modalities]).astype(np.float16)
    return TrainingCase(images, regions, np.argwhere(regions.any(axis=0)).astype(np.int16))
