"""Atomic file writes; text, JSON and CSV files.

A file is replaced as a whole: readers see either the old or the new content.
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
    """Write to a temporary file that replaces ``path`` if no error occurs.

    Yields
    ------
    pathlib.Path
        Temporary path in the same folder, with the same extension.

    Raises
    ------
    InputError
        If the folder cannot be written to, or the disk is full.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        # Some libraries print their own error about a read-only folder, so this is tried first.
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        # Some libraries create the file with permissions for its owner only.
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
    """Create a folder if it does not exist, and check that it is writable.

    Raises
    ------
    InputError
        If it cannot be created or is not writable.
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
    """Write a text file in UTF-8; return its path."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_json(path: Path, content: Mapping[str, object]) -> Path:
    """Write a mapping as indented JSON; return the path."""
    return write_text(path, json.dumps(content, indent=2) + "\n")


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows as CSV, with the keys of the first row as columns; return the path.

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
    """Read a CSV file with a header row; an empty list if there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
