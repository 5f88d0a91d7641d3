"""Writing files so that a reader finds the old or the new one, whole."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_ciml.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on leaving without an error it takes its place.

    The temporary name ends as ``path`` does, for writers that go by the extension.

    Raises
    ------
    InputError
        If the folder cannot be written to, or the disk is full.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        # Some writers print their own complaint about a folder they cannot write to; ask first.
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        # Some put a file of their own there, which nobody else may read.
        temporary.chmod(mode)
        with temporary.open("r+b") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be written ({reason}); choose another folder.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def prepare_folder(path: Path) -> Path:
    """Make a folder if it is not there, and see that files can be written into it.

    Raises
    ------
    InputError
        If they cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(
            f"{path}: cannot write there ({reason}); choose another folder."
        ) from error
