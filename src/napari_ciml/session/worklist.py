"""A folder of cases and where each of them stands.

What is kept of them lies in a folder of its own: a few lines of JSON and a saved session for each
case, named by a key, never by the case.
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
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.storage.schema import is_session

FILE = "worklist.json"

Stage = Literal["new", "segmented", "corrected", "exported"]


class CaseStatus(BaseModel):
    """Where a case stands; ``exported`` is the hash of the label map that was exported."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    stage: Stage = "new"
    exported: str | None = None


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)

    format_version: Literal[1] = 1
    cases: dict[str, CaseStatus] = {}


@dataclass
class Worklist:
    """The cases of a folder, in order.

    Parameters
    ----------
    cases : tuple of LabelledCase
        As they were found.
    place : pathlib.Path
        Where is kept what is known of them.
    """

    cases: tuple[LabelledCase, ...]
    state_folder: Path
    _kept: _Kept = field(default_factory=_Kept)

    def status(self, index: int) -> CaseStatus:
        """Return where a case stands."""
        return self._kept.cases.get(self.cases[index].key, CaseStatus())

    def session(self, index: int) -> Path:
        """Return the folder of a case's saved session, which may not be there yet."""
        return self.state_folder / self.cases[index].key

    def is_saved(self, index: int) -> bool:
        """Whether a case has a saved session."""
        return is_session(self.session(index))

    def set_status(self, index: int, standing: CaseStatus) -> None:
        """Say where a case stands, and write it down.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        self._kept.cases[self.cases[index].key] = standing
        ensure_writable_folder(self.state_folder)
        write_text(self.state_folder / FILE, self._kept.model_dump_json(indent=1) + "\n")

    def record_save(self, index: int, labels: Collection[str], painted: bool) -> None:
        """Note that a case was saved, and with which label maps.

        Parameters
        ----------
        index : int
            Which case.
        labels : collection of str
            The hashes of those that may have been exported; none if it has none.
        painted : bool
            Whether a person has painted on one.
        """
        exported = self.status(index).exported
        stage: Stage = "corrected" if painted else "segmented" if labels else "new"
        if exported in labels:
            stage = "exported"
        self.set_status(index, CaseStatus(stage=stage, exported=exported))


def open_worklist(
    folder: Path, place: Path | None = None, monitor: ProgressMonitor | None = None
) -> Worklist:
    """Find the cases of a folder, and what is known of them.

    Parameters
    ----------
    folder : pathlib.Path
        Of case folders, with a file for each modality or a tree of DICOM series; or one of them.
    place : pathlib.Path, optional
        Where is kept what is known; by default in the user's own folder.
    monitor : Monitor, optional
        Told at each folder that is looked through for DICOM.

    Raises
    ------
    InputError
        If there are no cases, or what is kept of them is damaged.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    cases = _cases(folder, monitor or ProgressMonitor())
    place = place or _own_place(folder)
    path = place / FILE
    if not path.is_file():
        return Worklist(cases, place)
    try:
        kept = _Kept.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise InputError(
            f"{path}: the worklist is damaged; move it away to begin a new one."
        ) from error
    return Worklist(cases, place, kept)


def _cases(folder: Path, monitor: ProgressMonitor) -> tuple[LabelledCase, ...]:
    """Return the cases that `find_cases` knows, and every folder of DICOM beside them.

    A folder that is one case is the only one on its list.
    """
    if folder.is_dir() and is_case_folder(folder, monitor):
        return (labelled_case(folder),)
    nothing = None
    try:
        found = find_cases(folder)
    except InputError as error:
        found, nothing = [], error
    taken = {parent for case in found for parent in (case.folder, *case.folder.parents)}
    others = sorted(path for path in folder.glob("[!.]*") if path.is_dir() and path not in taken)
    for done, path in enumerate(others):
        monitor.step("Looking for DICOM", done, len(others))
        if holds_dicom(path, monitor):
            found.append(LabelledCase(path.name, path, None))
    if not found and nothing is not None:
        raise nothing
    return tuple(sorted(found, key=lambda case: case.name))


def _own_place(folder: Path) -> Path:
    from platformdirs import user_data_path

    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return user_data_path("napari-ciml", appauthor=False) / "worklists" / key
