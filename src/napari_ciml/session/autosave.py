"""Corrections that are kept while they are made, and found again when the same case is opened.

A correction is a label map on the case grid, beside a few lines of JSON that say what it is of:
the hashes of the images, never a name.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import to_smallest_dtype
from napari_ciml.cases.writing import read_labels, write_volume
from napari_ciml.decomposition.model import Region
from napari_ciml.errors import InputError
from napari_ciml.files import atomic_write, ensure_writable_folder
from napari_ciml.progress import ProgressMonitor


@dataclass(frozen=True)
class CaseFingerprint:
    """By what a case is known again: the hashes of its images, and its grid."""

    images: frozenset[str]
    grid: Grid


class AutosaveRecord(BaseModel):
    """What is known of a label map that is kept.

    Parameters
    ----------
    key : str
        Names its files.
    images : tuple of str
        SHA-256 of each modality's voxels on the case grid.
    grid : Grid
        The case grid.
    regions : tuple of Region
        What the values of the label map mean.
    saved : datetime
        When.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    key: str
    images: tuple[str, ...]
    grid: Grid
    regions: tuple[Region, ...]
    saved: datetime


def corrections_folder() -> Path:
    """Return where corrections are kept: in the user's own folder."""
    from platformdirs import user_data_path

    return user_data_path("napari-ciml", appauthor=False) / "corrections"


def fingerprint_case(case: Case, monitor: ProgressMonitor) -> CaseFingerprint:
    """Hash the images of a case.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    hashes = set()
    for image in case.images.values():
        monitor.raise_if_cancelled()
        hashes.add(hashlib.sha256(np.ascontiguousarray(image).data).hexdigest())
    return CaseFingerprint(frozenset(hashes), case.grid)


def save_autosave(folder: Path, correction: AutosaveRecord, labels: np.ndarray) -> None:
    """Write a correction; a reader finds the one before or this one, whole.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    ensure_writable_folder(folder)
    write_volume(_volume(folder, correction.key), to_smallest_dtype(labels), correction.grid)
    with atomic_write(_words(folder, correction.key)) as temporary:
        temporary.write_text(correction.model_dump_json(indent=1), encoding="utf-8")


def find_autosaves(folder: Path, wanted: CaseFingerprint) -> tuple[AutosaveRecord, ...]:
    """Return what is kept of a case, the latest first.

    A case is the same if it lies on the same grid and shares an image: one that was left out, or
    added, makes no other case of it.
    """
    found = []
    for path in folder.glob("*.json") if folder.is_dir() else ():
        try:
            correction = AutosaveRecord.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError):
            continue  # what another version wrote, or a disk has lost, is no case of ours
        shared = wanted.images & set(correction.images)
        if shared and correction.grid.is_close(wanted.grid):
            found.append(correction)
    return tuple(sorted(found, key=lambda correction: correction.saved, reverse=True))


def load_autosave(folder: Path, correction: AutosaveRecord) -> np.ndarray:
    """Return a correction's label map, (Z, Y, X) unsigned integers on the case grid.

    Raises
    ------
    InputError
        If its file is gone or damaged.
    """
    path = _volume(folder, correction.key)
    labels, grid = read_labels(path)
    if not grid.is_close(correction.grid):
        raise InputError(f"{path}: is not the label map that was kept; open another one.")
    return to_smallest_dtype(labels)


def delete_autosave(folder: Path, key: str) -> None:
    """Remove a correction; its words first, without which nobody looks for it."""
    _words(folder, key).unlink(missing_ok=True)
    _volume(folder, key).unlink(missing_ok=True)


def _volume(folder: Path, key: str) -> Path:
    return folder / f"{key}.nii.gz"


def _words(folder: Path, key: str) -> Path:
    return folder / f"{key}.json"
