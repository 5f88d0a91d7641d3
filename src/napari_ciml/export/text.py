"""Text files, written whole or not at all."""

import json
from collections.abc import Mapping
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
