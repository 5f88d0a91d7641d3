"""A fine-tune on disk while it is under way: what it needs to go on after anything happened."""

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

_LESSON, _LOCK, _CORRECTED, _REPLAY = "lesson.json", "lock", "corrected", "replay"


class FineTuneJob(BaseModel):
    """What a fine-tune was asked for.

    Parameters
    ----------
    checkpoint : pathlib.Path
        The version to begin with.
    sha256 : str
        Of that file.
    path : pathlib.Path
        Where the new version goes.
    decomposition : Decomposition
        What is to be learnt.
    settings : FineTuneSettings
        How.
    device : str
        Where.
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
    """Where a fine-tune keeps its cases, in the model's space and by number, and its state."""

    path: Path

    @property
    def begun(self) -> bool:
        """Whether there is something to go on with."""
        return (self.path / _LESSON).is_file()

    def write(
        self, lesson: FineTuneJob, corrected: Sequence[TrainingCase], replay: Sequence[TrainingCase]
    ) -> None:
        """Write everything but the state; the lesson itself comes last.

        Raises
        ------
        InputError
            If it cannot be written, or another process is at it.
        """
        ensure_writable_folder(self.path)
        with self.lock():
            for name in (_LESSON, STATE):
                (self.path / name).unlink(missing_ok=True)
            for name, cases in ((_CORRECTED, corrected), (_REPLAY, replay)):
                shutil.rmtree(self.path / name, ignore_errors=True)
                ensure_writable_folder(self.path / name)
                for k, case in enumerate(cases):
                    write_case(case, self.path / name / f"{k:04d}")
            write_text(self.path / _LESSON, lesson.model_dump_json(indent=2))

    def lesson(self) -> FineTuneJob:
        """Read what was asked for.

        Raises
        ------
        InputError
            If there is nothing here to go on with.
        """
        try:
            return FineTuneJob.model_validate_json((self.path / _LESSON).read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{self.path}: there is no fine-tune to go on with; begin a new one."
            ) from error

    def cases(self) -> tuple[list[TrainingCase], list[TrainingCase]]:
        """Read the cases to learn from and those not to forget, whole: the folder may go then."""
        corrected, replay = (
            [_held(read_case(folder)) for folder in sorted((self.path / name).iterdir())]
            for name in (_CORRECTED, _REPLAY)
        )
        return corrected, replay

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes off while the fine-tune is under way; the system ends it.

        Raises
        ------
        InputError
            If another one has it.
        """
        try:
            with FileLock(self.path / _LOCK, timeout=0):
                yield
        except Timeout as error:
            raise InputError(f"{self.path}: this fine-tune is under way already.") from error

    def forget(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)


def find_interrupted_jobs(parent: Path) -> list[FineTuneJobFolder]:
    """Return the fine-tunes in a folder that were interrupted and that nobody is at, by name.

    What is left of one that was interrupted before it began is removed.
    """
    found = []
    for path in sorted(parent.iterdir()):
        folder = FineTuneJobFolder(path)
        with suppress(InputError), folder.lock():
            if folder.begun:
                found.append(folder)
            else:
                folder.forget()
    return found


def _held(case: TrainingCase) -> TrainingCase:
    return TrainingCase(
        np.array(case.images),
        np.array(case.regions),
        case.foreground_voxels,
        None,
        case.label_confidence_mask,
    )
