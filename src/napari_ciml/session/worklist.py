"""Worklist: the cases of a folder and the status of each.

Its state is kept in a folder of its own: a JSON file, and a saved session for each case, named by
a key and never by the case.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_ciml.cases.datasets import LabelledCase, find_cases, labelled_case
from napari_ciml.cases.dicom.series_index import holds_dicom
from napari_ciml.cases.discovery import is_case_folder
from napari_ciml.errors import InputError
from napari_ciml.files import ensure_writable_folder, write_text
from napari_ciml.paths import user_data_folder
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.storage.schema import is_session

FILE = "worklist.json"

Stage = Literal["new", "segmented", "corrected", "exported"]


class CaseStatus(BaseModel):
    """Status of a case.

    Parameters
    ----------
    stage : {"new", "segmented", "corrected", "exported"}
        How far the case was processed.
    exported : str or None
        Hash of the label map that was exported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    stage: Stage = "new"
    exported: str | None = None


class _SavedState(BaseModel):
    """Content of the JSON file: the status of each case by its key."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    format_version: Literal[1] = 1
    cases: dict[str, CaseStatus] = {}


@dataclass
class Worklist:
    """The cases of a folder, in order.

    Parameters
    ----------
    cases : tuple of LabelledCase
        The cases, sorted by name.
    state_folder : pathlib.Path
        Folder of the JSON file and the saved sessions.
    """

    cases: tuple[LabelledCase, ...]
    state_folder: Path
    _saved: _SavedState = field(default_factory=_SavedState)

    def status(self, index: int) -> CaseStatus:
        """Return the status of a case."""
        return self._saved.cases.get(self.cases[index].key, CaseStatus())

    def session(self, index: int) -> Path:
        """Return the folder of the saved session of a case, which need not exist."""
        return self.state_folder / self.cases[index].key

    def is_saved(self, index: int) -> bool:
        """Whether a case has a saved session."""
        return is_session(self.session(index))

    def set_status(self, index: int, status: CaseStatus) -> None:
        """Set the status of a case and save it.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        self._saved.cases[self.cases[index].key] = status
        ensure_writable_folder(self.state_folder)
        write_text(self.state_folder / FILE, self._saved.model_dump_json(indent=1) + "\n")

    def record_save(self, index: int, labels: Collection[str], painted: bool) -> None:
        """Update the status of a case after its session was saved.

        Parameters
        ----------
        index : int
            Index of the case.
        labels : collection of str
            Hashes of the label maps in the session; empty if it has none.
        painted : bool
            Whether the user has edited one of them.
        """
        exported = self.status(index).exported
        stage: Stage = "corrected" if painted else "segmented" if labels else "new"
        if exported in labels:
            stage = "exported"
        self.set_status(index, CaseStatus(stage=stage, exported=exported))


def open_worklist(
    folder: Path, state_folder: Path | None = None, monitor: ProgressMonitor | None = None
) -> Worklist:
    """Find the cases of a folder and read the status of each.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of case folders, each with a file per modality or a tree of DICOM series; or one
        case folder.
    state_folder : pathlib.Path, optional
        Folder of the saved state; by default in the user's data folder.
    monitor : ProgressMonitor, optional
        Notified at each folder that is searched for DICOM.

    Raises
    ------
    InputError
        If there are no cases, or the saved state is damaged.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    cases = _cases(folder, monitor or ProgressMonitor())
    state_folder = state_folder or _default_state_folder(folder)
    path = state_folder / FILE
    if not path.is_file():
        return Worklist(cases, state_folder)
    try:
        state = _SavedState.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise InputError(
            f"{path}: the worklist is damaged; move it away to begin a new one."
        ) from error
    return Worklist(cases, state_folder, state)


def _cases(folder: Path, monitor: ProgressMonitor) -> tuple[LabelledCase, ...]:
    """Return the cases of `find_cases` and the DICOM folders beside them; or the one case."""
    if folder.is_dir() and is_case_folder(folder, monitor):
        return (labelled_case(folder),)
    cases, no_cases = [], None
    try:
        cases = find_cases(folder)
    except InputError as error:
        no_cases = error
    known = {parent for case in cases for parent in (case.folder, *case.folder.parents)}
    others = sorted(path for path in folder.glob("[!.]*") if path.is_dir() and path not in known)
    for k, path in enumerate(others):
        monitor.step("Looking for DICOM", k, len(others))
        if holds_dicom(path, monitor):
            cases.append(LabelledCase(path.name, path, None))
    if not cases and no_cases is not None:
        raise no_cases
    return tuple(sorted(cases, key=lambda case: case.name))


def _default_state_folder(folder: Path) -> Path:
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return user_data_folder() / "worklists" / key
