"""Text files, written whole or not at all."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_ciml.files import replacing


def write_text(path: Path, text: str) -> Path:
    """Write a text file in UTF-8."""
    with replacing(path) as temporary:
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
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
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
