"""A cohort in the model's space: prepared once, kept in a cache, read from there as needed."""

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

_CENTRES = 20_000
"""Voxels kept of each region to centre patches on."""

_PARTS, _CERTAIN = ("images", "regions"), "certain.npy"


@dataclass(frozen=True)
class TrainingCase:
    """One case in the model's space; the arrays may be views of a file.

    Parameters
    ----------
    images : numpy.ndarray
        Normalised modalities in the decomposition's order, (M, Z, Y, X) float16.
    regions : numpy.ndarray
        Masks in the decomposition's order, (R, Z, Y, X) bool.
    inside : tuple of numpy.ndarray
        Voxels of each region, (N, 3) int16, to centre patches on.
    folder : pathlib.Path, optional
        Where the arrays lie; another process is given this, not what is in them.
    certain : numpy.ndarray, optional
        Where the masks are to be believed, (Z, Y, X) bool; everywhere by default.
    """

    images: np.ndarray
    regions: np.ndarray
    foreground_voxels: tuple[np.ndarray, ...]
    folder: Path | None = None
    label_confidence_mask: np.ndarray | None = None

    @classmethod
    def of(cls, images: np.ndarray, regions: np.ndarray) -> "TrainingCase":
        """Return the case with some voxels of each region chosen to centre patches on."""
        return cls(images, regions, tuple(_some(np.argwhere(mask)) for mask in regions))

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
    """What says where a network works."""

    @property
    def decomposition(self) -> Decomposition:
        """Modalities and regions."""

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size, (Z, Y, X) in mm."""

    @property
    def normalisation(self) -> Mapping[str, Normalisation]:
        """By modality."""


def load_cohort(
    cases: Sequence[LabelledCase],
    settings: TrainSettings,
    cache: Path,
    monitor: ProgressMonitor,
    workers: int = 1,
) -> list[TrainingCase]:
    """Prepare every case that the cache does not hold yet; return all, mapped into memory.

    Parameters
    ----------
    cases : sequence of LabelledCase
        Each with a label map.
    settings : TrainSettings
        Modalities, regions, voxel size and normalisation.
    cache : pathlib.Path
        A folder; what is in it is named by what it was made from, never by a patient.
    monitor : Monitor
        Told after each case.
    workers : int
        Cases prepared at the same time.

    Raises
    ------
    InputError
        For the first case that cannot be used.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    ensure_writable_folder(cache)
    folders = []
    with ThreadPoolExecutor(max(1, workers)) as pool:
        prepared = pool.map(lambda case: _prepared(case, settings, cache, monitor), cases)
        for done, folder in enumerate(prepared):
            monitor.step("Preparing cases", done + 1, len(cases))
            folders.append(folder)
    return [read_case(folder) for folder in folders]


def to_training_case(
    case: Case, labels: np.ndarray, space: ModelSpace, certain: np.ndarray | None = None
) -> TrainingCase:
    """Bring a case and its label map into the model's space.

    Parameters
    ----------
    case : Case
        With every modality of the decomposition.
    labels : numpy.ndarray
        Label values on the case grid, (Z, Y, X).
    space : Space
        Decomposition, voxel size and normalisation: settings of a run, or a checkpoint's info.
    certain : numpy.ndarray, optional
        Where the labels are to be believed, (Z, Y, X) bool on the case grid; everywhere by default.

    Raises
    ------
    InputError
        If nothing of a modality is left at this voxel size.
    """
    whole = space.decomposition
    seen = preprocess(
        case, whole.input_modalities, space.spacing, dict(space.normalisation), ProgressMonitor()
    )
    masks = region_masks(labels_to_model_space(labels, seen.grid, case), whole.regions)
    regions = np.stack([masks[name] for name in whole.region_names])
    images = np.stack([seen.images[name] for name in whole.input_modalities]).astype(np.float16)
    ready = TrainingCase.of(images, regions)
    if certain is None:
        return ready
    believed = labels_to_model_space(certain.astype(np.uint8), seen.grid, case) > 0
    return replace(ready, label_confidence_mask=believed)


def _prepared(
    labelled: LabelledCase, settings: TrainSettings, cache: Path, monitor: ProgressMonitor
) -> Path:
    monitor.raise_if_cancelled()
    folder = cache / digest(labelled, settings)
    if folder.is_dir():
        return folder
    case = labelled.open(settings.decomposition.input_modalities)
    ready = to_training_case(case, read_label_map(labelled.reference, case), settings)
    return write_case(ready, folder)


def write_case(case: TrainingCase, folder: Path) -> Path:
    """Write a prepared case into a folder of its own, which is there whole or not at all."""
    unfinished = ensure_writable_folder(folder.with_name(f".{folder.name}"))
    for name in _PARTS:
        np.save(unfinished / f"{name}.npy", getattr(case, name))
    for k, voxels in enumerate(case.foreground_voxels):
        np.save(unfinished / f"inside{k}.npy", voxels)
    if case.label_confidence_mask is not None:
        np.save(unfinished / _CERTAIN, case.label_confidence_mask)
    shutil.rmtree(folder, ignore_errors=True)
    return unfinished.rename(folder)


def read_case(folder: Path) -> TrainingCase:
    """Read a prepared case, mapped into memory."""
    images, regions = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in _PARTS)
    inside = tuple(np.load(folder / f"inside{k}.npy") for k in range(len(regions)))
    certain = np.load(folder / _CERTAIN) if (folder / _CERTAIN).is_file() else None
    return TrainingCase(images, regions, inside, folder, certain)


def digest(labelled: LabelledCase, settings: TrainSettings) -> str:
    """Return a name for what a case becomes: its files, and all that the preparation depends on."""
    whole = settings.decomposition
    sources = sorted({labelled.label, *labelled.files.values(), *_files(labelled.folder)} - {None})  # type: ignore[type-var]
    made_of = [
        *((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sources if path),
        *(region.model_dump_json() for region in whole.regions),
        whole.input_modalities,
        settings.spacing,
        sorted(settings.normalisation.items()),
    ]
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:24]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _some(voxels: np.ndarray) -> np.ndarray:
    if len(voxels) > _CENTRES:
        voxels = voxels[np.random.default_rng(0).choice(len(voxels), _CENTRES, replace=False)]
    return voxels.astype(np.int16)
