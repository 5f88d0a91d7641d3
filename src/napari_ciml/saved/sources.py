"""The images of a saved session: found again, and compared with what they were."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from napari_ciml.cases.formats import read_header
from napari_ciml.cases.scan import Scan, Source, scan
from napari_ciml.errors import CimlError, InputError
from napari_ciml.monitor import Monitor
from napari_ciml.saved.models import SavedSession, SavedSource


def save_sources(
    folder: Path, sources: Mapping[str, Source], monitor: Monitor
) -> tuple[SavedSource, ...]:
    """Describe the images of a case, with their hashes."""
    made = []
    for done, (modality, source) in enumerate(sources.items()):
        monitor.step(f"Hashing {modality}", done, len(sources))
        path = source.path.resolve()
        made.append(
            SavedSource(
                path=str(path),
                relative=_relative(path, folder.resolve()),
                channel=source.channel,
                title=source.path.name,
                modality=modality,
                sha256=_hash(path),
            )
        )
    return tuple(made)


def find_sources(folder: Path, saved: SavedSession, monitor: Monitor) -> dict[str, Source]:
    """Return the images of a saved session by modality.

    Raises
    ------
    InputError
        If one is missing or has changed.
    """
    found = {}
    for done, one in enumerate(saved.sources):
        monitor.step(f"Looking for {one.modality}", done, len(saved.sources))
        path = _there(folder, one)
        if path is None:
            raise InputError(
                f"{one.path}: the {one.modality} of this session is missing; put it back."
            )
        if _hash(path) != one.sha256:
            raise InputError(
                f"{path}: the {one.modality} has changed since the session was saved; put the old "
                f"file back (corrections are in {folder})."
            )
        found[one.modality] = Source(path, one.channel, one.modality, read_header(path).grid)
    return found


def scan_again(saved: SavedSession, sources: Mapping[str, Source]) -> tuple[Scan, list[str | None]]:
    """Return what was looked at, and which modality each of its sources is."""
    named = {(source.path.resolve(), source.channel): name for name, source in sources.items()}
    try:
        found = scan(Path(saved.root))
    except CimlError:
        found = Scan(saved.name, Path(saved.root), ())
    known = {(source.path.resolve(), source.channel) for source in found.sources}
    more = [s for s in sources.values() if (s.path.resolve(), s.channel) not in known]
    found = replace(found, name=saved.name, sources=(*found.sources, *more))
    return found, [named.get((s.path.resolve(), s.channel)) for s in found.sources]


def _there(folder: Path, one: SavedSource) -> Path | None:
    places = [Path(one.path)] + ([folder / one.relative] if one.relative else [])
    return next((path for path in places if path.exists()), None)


def _relative(path: Path, folder: Path) -> str | None:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # on another drive
        return None


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read; check its access rights.") from error
