"""Images of a saved session: described with hashes, found again and verified."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from napari_ciml.cases.discovery import DiscoveredCase, VolumeSource, discover_volumes
from napari_ciml.cases.formats.volumes import read_header
from napari_ciml.errors import CimlError, InputError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.storage.schema import SavedSession, SavedSource


def save_sources(
    folder: Path, sources: Mapping[str, VolumeSource], monitor: ProgressMonitor
) -> tuple[SavedSource, ...]:
    """Describe the images of a case, with their hashes."""
    saved = []
    for k, (modality, source) in enumerate(sources.items()):
        monitor.step(f"Hashing {modality}", k, len(sources))
        path = source.path.resolve()
        saved.append(
            SavedSource(
                path=str(path),
                relative=_relative(path, folder.resolve()),
                channel=source.channel,
                series=source.stack is not None,
                title=source.title,
                modality=modality,
                sha256=_hash(files_of(source)),
            )
        )
    return tuple(saved)


def find_sources(
    folder: Path, saved: SavedSession, monitor: ProgressMonitor
) -> dict[str, VolumeSource]:
    """Return the images of a saved session by modality.

    Raises
    ------
    InputError
        If one is missing or has changed.
    """
    sources = {}
    series = _series(saved, monitor)
    for k, one in enumerate(saved.sources):
        monitor.step(f"Looking for {one.modality}", k, len(saved.sources))
        source = series.get(one.title) or _file(_existing_path(folder, one), one)
        if source is None:
            raise InputError(
                f"{one.path}: the {one.modality} of this session is missing; put it back."
            )
        if _hash(files_of(source)) != one.sha256:
            raise InputError(
                f"{source.path}: the {one.modality} has changed since the session was saved; "
                f"put the old file back (corrections are in {folder})."
            )
        sources[one.modality] = replace(source, modality=one.modality)
    return sources


def rediscover(
    saved: SavedSession, sources: Mapping[str, VolumeSource]
) -> tuple[DiscoveredCase, list[str | None]]:
    """Discover the case's folder again; return its volumes and the modality of each."""
    modalities = {_key(source): name for name, source in sources.items()}
    try:
        discovered = discover_volumes(Path(saved.root))
    except CimlError:
        discovered = DiscoveredCase(saved.name, Path(saved.root), ())
    known = {_key(source) for source in discovered.sources}
    others = [source for source in sources.values() if _key(source) not in known]
    discovered = replace(discovered, name=saved.name, sources=(*discovered.sources, *others))
    return discovered, [modalities.get(_key(source)) for source in discovered.sources]


def files_of(source: VolumeSource) -> list[Path]:
    """Return the file of a source, or all files of a series."""
    if source.stack is None:
        return [source.path]
    return sorted({plane.file for plane in source.stack.planes})


def _series(saved: SavedSession, monitor: ProgressMonitor) -> dict[str, VolumeSource]:
    """Return the DICOM series of the case's folder by title; none if the folder is missing."""
    if not any(one.series for one in saved.sources):
        return {}
    with suppress(CimlError):
        sources = discover_volumes(Path(saved.root), monitor=monitor).sources
        return {source.title: source for source in sources if source.stack is not None}
    return {}


def _file(path: Path | None, one: SavedSource) -> VolumeSource | None:
    if path is None or one.series:
        return None
    return VolumeSource(path, one.channel, one.modality, read_header(path).grid)


def _key(source: VolumeSource) -> tuple[Path, int | None, str]:
    return source.path.resolve(), source.channel, source.title


def _existing_path(folder: Path, one: SavedSource) -> Path | None:
    candidates = [Path(one.path)] + ([folder / one.relative] if one.relative else [])
    return next((path for path in candidates if path.exists()), None)


def _relative(path: Path, folder: Path) -> str | None:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # on another drive
        return None


def _hash(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of a file, or of the hashes of several files."""
    hashes = []
    for path in paths:
        try:
            with path.open("rb") as file:
                hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError as error:
            raise InputError(f"{path}: cannot be read; check its access rights.") from error
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()
