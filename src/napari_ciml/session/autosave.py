"""Autosaved label maps: written while the user edits, offered when the same case is opened.

An autosave is a label map on the case grid and a JSON file that identifies the case by the hashes
of its images, never by a name.
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
from napari_ciml.paths import user_data_folder
from napari_ciml.progress import ProgressMonitor


@dataclass(frozen=True)
class CaseFingerprint:
    """Identity of a case: the hashes of its images, and its grid."""

    images: frozenset[str]
    grid: Grid


class AutosaveRecord(BaseModel):
    """Description of an autosaved label map.

    Parameters
    ----------
    key : str
        Stem of its file names.
    images : tuple of str
        SHA-256 of the voxels of each modality on the case grid.
    grid : Grid
        The case grid.
    regions : tuple of Region
        Label values by region.
    saved : datetime
        Time of the autosave.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    key: str
    images: tuple[str, ...]
    grid: Grid
    regions: tuple[Region, ...]
    saved: datetime


def corrections_folder() -> Path:
    """Return the folder of autosaves in the user's data folder."""
    return user_data_folder() / "corrections"


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


def save_autosave(folder: Path, record: AutosaveRecord, labels: np.ndarray) -> None:
    """Write an autosave atomically, in place of the one with the same key.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    ensure_writable_folder(folder)
    write_volume(_labels_path(folder, record.key), to_smallest_dtype(labels), record.grid)
    with atomic_write(_record_path(folder, record.key)) as temporary:
        temporary.write_text(record.model_dump_json(indent=1), encoding="utf-8")


def find_autosaves(folder: Path, fingerprint: CaseFingerprint) -> tuple[AutosaveRecord, ...]:
    """Return the autosaves of a case, the latest first.

    A case is the same if its grid is the same and at least one image is; it may have more or fewer
    modalities than before.
    """
    records = []
    for path in folder.glob("*.json") if folder.is_dir() else ():
        try:
            record = AutosaveRecord.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ValidationError):
            continue  # written by another version, or damaged
        shared = fingerprint.images & set(record.images)
        if shared and record.grid.is_close(fingerprint.grid):
            records.append(record)
    return tuple(sorted(records, key=lambda record: record.saved, reverse=True))


def load_autosave(folder: Path, record: AutosaveRecord) -> np.ndarray:
    """Return an autosaved label map, (Z, Y, X) unsigned integers on the case grid.

    Raises
    ------
    InputError
        If its file is missing or damaged.
    """
    path = _labels_path(folder, record.key)
    labels, grid = read_labels(path)
    if not grid.is_close(record.grid):
        raise InputError(f"{path}: is not the label map that was saved; open another one.")
    return to_smallest_dtype(labels)


def delete_autosave(folder: Path, key: str) -> None:
    """Delete an autosave; the record first, so that no record is left without a label map."""
    _record_path(folder, key).unlink(missing_ok=True)
    _labels_path(folder, key).unlink(missing_ok=True)


def _labels_path(folder: Path, key: str) -> Path:
    return folder / f"{key}.nii.gz"


def _record_path(folder: Path, key: str) -> Path:
    return folder / f"{key}.json"
