"""Training cases in the model's space, prepared once and cached on disk."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.cases.intensity import Normalisation
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.preprocessing import labels_to_model_space, preprocess
from napari_ciml.cases.writing import read_label_map
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.files import ensure_writable_folder
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.settings import TrainSettings

_MAX_CENTRES = 20_000
"""Number of voxels kept of each region as possible patch centres."""

_FORMAT = 2
"""Version of the files of a cached case."""

_ARRAYS, _MASK = ("images", "regions"), "label_confidence_mask.npy"


@dataclass(frozen=True)
class TrainingCase:
    """A case in the model's space; the arrays may be memory maps.

    Parameters
    ----------
    images : numpy.ndarray
        Normalised modalities in the decomposition's order, (M, Z, Y, X) float16.
    regions : numpy.ndarray
        Masks in the decomposition's order, (R, Z, Y, X) bool.
    foreground_voxels : tuple of numpy.ndarray
        Voxel indices of each region, (N, 3) int16: possible patch centres.
    folder : pathlib.Path, optional
        Folder of the arrays; pickling sends it instead of the arrays to other processes.
    label_confidence_mask : numpy.ndarray, optional
        Mask of the voxels whose labels are trusted, (Z, Y, X) bool; all of them by default.
    """

    images: np.ndarray
    regions: np.ndarray
    foreground_voxels: tuple[np.ndarray, ...]
    folder: Path | None = None
    label_confidence_mask: np.ndarray | None = None

    @classmethod
    def from_arrays(cls, images: np.ndarray, regions: np.ndarray) -> "TrainingCase":
        """Return a case with patch centres sampled from each region."""
        return cls(images, regions, tuple(_sample(np.argwhere(mask)) for mask in regions))

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        if self.folder is not None:
            return read_case, (self.folder,)
        return TrainingCase, (
            self.images,
            self.regions,
            self.foreground_voxels,
            None,
            self.label_confidence_mask,
        )


class ModelSpace(Protocol):
    """The space a network works in: run settings or a checkpoint's info."""

    @property
    def decomposition(self) -> Decomposition:
        """Modalities and regions."""

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size, (Z, Y, X) in mm."""

    @property
    def normalisation(self) -> Mapping[str, Normalisation]:
        """Normalisation by modality."""


def load_cohort(
    cases: Sequence[LabelledCase],
    settings: TrainSettings,
    cache: Path,
    monitor: ProgressMonitor,
    workers: int = 1,
) -> list[TrainingCase]:
    """Prepare every case that is not in the cache yet; return all of them, memory-mapped.

    Parameters
    ----------
    cases : sequence of LabelledCase
        Each with a label map.
    settings : TrainSettings
        Modalities, regions, voxel size and normalisation.
    cache : pathlib.Path
        Cache folder; entries are named by a hash of their sources, never by a patient.
    monitor : ProgressMonitor
        Receives a step per case.
    workers : int
        Number of cases that are prepared at the same time.

    Raises
    ------
    InputError
        If a case cannot be used.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    ensure_writable_folder(cache)
    folders = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        prepared = pool.map(lambda case: _prepare(case, settings, cache, monitor), cases)
        for k, folder in enumerate(prepared):
            monitor.step("Preparing cases", k + 1, len(cases))
            folders.append(folder)
    return [read_case(folder) for folder in folders]


def to_training_case(
    case: Case, labels: np.ndarray, space: ModelSpace, confidence: np.ndarray | None = None
) -> TrainingCase:
    """Bring a case and its label map into the model's space.

    Parameters
    ----------
    case : Case
        With every modality of the decomposition.
    labels : numpy.ndarray
        Label map on the case grid, (Z, Y, X).
    space : ModelSpace
        Decomposition, voxel size and normalisation.
    confidence : numpy.ndarray, optional
        Mask of the voxels whose labels are trusted, (Z, Y, X) bool on the case grid; all of them by
        default.

    Raises
    ------
    InputError
        If a modality has no voxels left at this voxel size.
    """
    decomposition = space.decomposition
    modalities = decomposition.input_modalities
    model_input = preprocess(
        case, modalities, space.spacing, dict(space.normalisation), ProgressMonitor()
    )
    labels = labels_to_model_space(labels, model_input.grid, case)
    masks = region_masks(labels, decomposition.regions)
    training_case = TrainingCase.from_arrays(
        np.stack([model_input.images[name] for name in modalities]).astype(np.float16),
        np.stack([masks[name] for name in decomposition.region_names]),
    )
    if confidence is None:
        return training_case
    mask = labels_to_model_space(confidence.astype(np.uint8), model_input.grid, case) > 0
    return replace(training_case, label_confidence_mask=mask)


def _prepare(
    labelled: LabelledCase, settings: TrainSettings, cache: Path, monitor: ProgressMonitor
) -> Path:
    monitor.raise_if_cancelled()
    folder = cache / digest(labelled, settings)
    if folder.is_dir():
        return folder
    case = labelled.open(settings.decomposition.input_modalities)
    labels = read_label_map(labelled.reference, case)
    return write_case(to_training_case(case, labels, settings), folder)


def write_case(case: TrainingCase, folder: Path) -> Path:
    """Write a training case to a folder of its own, atomically."""
    temporary = ensure_writable_folder(folder.with_name(f".{folder.name}"))
    for name in _ARRAYS:
        np.save(temporary / f"{name}.npy", getattr(case, name))
    for k, voxels in enumerate(case.foreground_voxels):
        np.save(temporary / f"foreground_voxels{k}.npy", voxels)
    if case.label_confidence_mask is not None:
        np.save(temporary / _MASK, case.label_confidence_mask)
    shutil.rmtree(folder, ignore_errors=True)
    return temporary.rename(folder)


def read_case(folder: Path) -> TrainingCase:
    """Read a training case, memory-mapped."""
    images, regions = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS)
    voxels = tuple(np.load(folder / f"foreground_voxels{k}.npy") for k in range(len(regions)))
    mask = np.load(folder / _MASK) if (folder / _MASK).is_file() else None
    return TrainingCase(images, regions, voxels, folder, mask)


def digest(labelled: LabelledCase, settings: TrainSettings) -> str:
    """Return a hash of a case's files and of everything its preparation depends on."""
    decomposition = settings.decomposition
    files = {*labelled.files.values(), *_files(labelled.folder)}
    if labelled.label is not None:
        files.add(labelled.label)
    sources = [
        _FORMAT,
        *((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(files)),
        *(region.model_dump_json() for region in decomposition.regions),
        decomposition.input_modalities,
        settings.spacing,
        sorted(settings.normalisation.items()),
    ]
    return hashlib.sha256(repr(sources).encode()).hexdigest()[:24]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _sample(voxels: np.ndarray) -> np.ndarray:
    if len(voxels) > _MAX_CENTRES:
        chosen = np.random.default_rng(0).choice(len(voxels), _MAX_CENTRES, replace=False)
        voxels = voxels[chosen]
    return voxels.astype(np.int16)
