"""Atomic file writes; text, JSON and CSV files.

A reader finds either the old file or the new one, never a part of it.
"""

import csv
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_ciml.errors import InputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
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


def ensure_writable_folder(path: Path) -> Path:
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


def write_text(path: Path, text: str) -> Path:
    """Write a text file in UTF-8."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, content: Mapping[str, object]) -> Path:
    """Write a mapping as indented JSON."""
    return write_text(path, json.dumps(content, indent=2) + "\n")


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows as CSV; the columns are the first row's keys.

    Raises
    ------
    InputError
        If the folder cannot be written to, or the disk is full.
    """
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_table(path: Path) -> list[dict[str, str]]:
    """Read what `write_table` wrote; nothing if there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
