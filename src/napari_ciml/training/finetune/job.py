"""Folder of an unfinished fine-tune: its request, its cases, its training state."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import InputError
from napari_ciml.files import ensure_writable_folder, write_text
from napari_ciml.training.cohort import TrainingCase, read_case, write_case
from napari_ciml.training.settings import FineTuneSettings
from napari_ciml.training.state import STATE

_JOB, _LOCK, _CORRECTED, _REPLAY = "job.json", "lock", "corrected", "replay"


class FineTuneJob(BaseModel):
    """Request for a fine-tune.

    Parameters
    ----------
    checkpoint : pathlib.Path
        Checkpoint to start from.
    sha256 : str
        SHA-256 of that file.
    path : pathlib.Path
        File of the new version.
    decomposition : Decomposition
        Decomposition to learn.
    settings : FineTuneSettings
        Settings of the fine-tune.
    device : str
        Device to train on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    checkpoint: Path
    sha256: str
    path: Path
    decomposition: Decomposition
    settings: FineTuneSettings
    device: str = "auto"


@dataclass(frozen=True)
class FineTuneJobFolder:
    """Folder with the job, its cases in the model's space, numbered, and the training state."""

    path: Path

    @property
    def exists(self) -> bool:
        """Whether the folder holds a complete job, which can be run or resumed."""
        return (self.path / _JOB).is_file()

    def write(
        self, job: FineTuneJob, corrected: Sequence[TrainingCase], replay: Sequence[TrainingCase]
    ) -> None:
        """Write the cases, then the job; an earlier state is deleted.

        Raises
        ------
        InputError
            If the folder cannot be written to, or another process has locked it.
        """
        ensure_writable_folder(self.path)
        with self.lock():
            for name in (_JOB, STATE):
                (self.path / name).unlink(missing_ok=True)
            for name, cases in ((_CORRECTED, corrected), (_REPLAY, replay)):
                shutil.rmtree(self.path / name, ignore_errors=True)
                ensure_writable_folder(self.path / name)
                for k, case in enumerate(cases):
                    write_case(case, self.path / name / f"{k:04d}")
            write_text(self.path / _JOB, job.model_dump_json(indent=2))

    def job(self) -> FineTuneJob:
        """Read the job.

        Raises
        ------
        InputError
            If there is none.
        """
        try:
            return FineTuneJob.model_validate_json((self.path / _JOB).read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{self.path}: there is no fine-tune to resume; start a new one."
            ) from error

    def cases(self) -> tuple[list[TrainingCase], list[TrainingCase]]:
        """Read the corrected and the replay cases into memory."""
        corrected, replay = (
            [_in_memory(read_case(folder)) for folder in sorted((self.path / name).iterdir())]
            for name in (_CORRECTED, _REPLAY)
        )
        return corrected, replay

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder for this process; the lock ends with the process.

        Raises
        ------
        InputError
            If another process has locked it.
        """
        try:
            with FileLock(self.path / _LOCK, timeout=0):
                yield
        except Timeout as error:
            raise InputError(f"{self.path}: this fine-tune is already running.") from error

    def delete(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def find_interrupted_jobs(parent: Path) -> list[FineTuneJobFolder]:
    """Return the interrupted jobs in a folder, by name, that no process is running.

    Incomplete folders of jobs that were interrupted while they were written are deleted.
    """
    interrupted = []
    for path in sorted(parent.iterdir()):
        folder = FineTuneJobFolder(path)
        with suppress(InputError), folder.lock():
            if folder.exists:
                interrupted.append(folder)
            else:
                folder.delete()
    return interrupted


def _in_memory(case: TrainingCase) -> TrainingCase:
    return TrainingCase(
        np.array(case.images),
        np.array(case.regions),
        case.foreground_voxels,
        None,
        case.label_confidence_mask,
    )
