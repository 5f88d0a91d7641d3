"""Looking at a folder or a 4-D file: which volumes are there, which modality each one claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from napari_ciml.cases.formats import SUFFIXES, Header, read_header, stem, suffix
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.recognition import claimed_modalities, is_reference
from napari_ciml.errors import InputError

DECATHLON_ORDER = ("FLAIR", "T1", "T1CE", "T2")
"""Channels of the Medical Segmentation Decathlon's brain tumour files."""


@dataclass(frozen=True)
class Source:
    """One volume that may be a modality: a file, or one channel of a 4-D file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    channel : int or None
        Of a 4-D file, from 0.
    modality : str or None
        As its name claims; None if it claims none, or several.
    grid : Grid
        As stored.
    """

    path: Path
    channel: int | None
    modality: str | None
    grid: Grid


@dataclass(frozen=True)
class Scan:
    """What was found.

    Parameters
    ----------
    name : str
        Of the folder or file; shown in the window, written nowhere.
    root : pathlib.Path
        What was looked at.
    sources : tuple of Source
        Candidates, by file name.
    skipped : tuple of str
        Sentences: what was left out and why.
    assumed : tuple of str
        Sentences: what no name says and the user may change.
    problems : tuple of str
        Sentences: what the user has to decide before the case can be loaded.
    """

    name: str
    root: Path
    sources: tuple[Source, ...]
    skipped: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def scan(
    path: Path,
    channels: Sequence[str] | None = None,
    overrides: Mapping[str, Path] | None = None,
) -> Scan:
    """Look at a folder of files or at one 4-D file; only headers are read.

    Parameters
    ----------
    path : pathlib.Path
        Folder or file.
    channels : sequence of str, optional
        Modalities of a 4-D file's channels, in order.
    overrides : mapping of str to pathlib.Path, optional
        Files that are this modality whatever their name says.

    Raises
    ------
    InputError
        If there is nothing to read, or a file is damaged.
    """
    overrides = dict(overrides or {})
    if path.is_dir():
        found = _scan_folder(path, overrides)
    elif path.is_file():
        found = _scan_file(path, channels)
    elif overrides:
        found = Scan(path.name, path, ())
    else:
        raise InputError(f"{path}: there is no such file or folder.")
    named = tuple(_named(modality, file) for modality, file in overrides.items())
    kept = tuple(
        replace(source, modality=None) if source.modality in overrides else source
        for source in found.sources
    )
    sources = (*kept, *named)
    problems = found.problems + _doubled(sources) if path.is_dir() else found.problems
    return replace(found, sources=sources, problems=problems)


def _scan_folder(folder: Path, overrides: Mapping[str, Path]) -> Scan:
    named = {file.resolve() for file in overrides.values()}
    files = sorted(
        f for f in folder.iterdir() if f.is_file() and suffix(f) and f.resolve() not in named
    )
    if not files and not overrides:
        raise InputError(f"{folder}: {_why_empty(folder)}")
    sources, skipped, problems = [], [], []
    for file in files:
        if is_reference(stem(file)):
            skipped.append(f"{file.name} is a label map or a result, not an image.")
            continue
        header = read_header(file)
        if header.channels > 1:
            whole = _scan_file(file, None) if len(files) == 1 else None
            if whole is not None:
                return replace(whole, name=folder.name, root=folder)
            skipped.append(f"{file.name} holds {header.channels} volumes; open it by itself.")
            continue
        claims = claimed_modalities(stem(file))
        if len(claims) > 1:
            problems.append(f"{file.name} claims to be {' and '.join(claims)}; say which it is.")
        sources.append(Source(file, None, claims[0] if len(claims) == 1 else None, header.grid))
    return Scan(folder.name, folder, tuple(sources), tuple(skipped), problems=tuple(problems))


def _scan_file(path: Path, channels: Sequence[str] | None) -> Scan:
    if not suffix(path):
        raise InputError(f"{path}: not a format that is read ({', '.join(SUFFIXES)}).")
    header = read_header(path)
    if header.channels == 1:
        raise InputError(f"{path}: holds one volume; open the folder with all modalities.")
    if channels is not None:
        return _named_channels(path, header, channels)
    if header.channels == len(DECATHLON_ORDER):
        found = _named_channels(path, header, DECATHLON_ORDER)
        said = f"{path.name}: channels taken to be {', '.join(DECATHLON_ORDER)}, in this order."
        return replace(found, assumed=(said,))
    problem = (
        f"{path.name} has {header.channels} channels and nothing says what they are; name them in "
        "order with --channels A,B,..."
    )
    sources = tuple(Source(path, k, None, header.grid) for k in range(header.channels))
    return Scan(stem(path), path, sources, problems=(problem,))


def _named_channels(path: Path, header: Header, names: Sequence[str]) -> Scan:
    if len(names) != header.channels or len(set(names)) != len(names):
        raise InputError(
            f"{path}: has {header.channels} channels and {len(set(names))} different names "
            "for them; name each one once."
        )
    sources = tuple(Source(path, k, name, header.grid) for k, name in enumerate(names))
    return Scan(stem(path), path, sources)


def _named(modality: str, file: Path) -> Source:
    header = read_header(file)
    if header.channels > 1:
        raise InputError(f"{file}: has {header.channels} channels; give one volume for {modality}.")
    return Source(file, None, modality, header.grid)


def _doubled(sources: Sequence[Source]) -> tuple[str, ...]:
    by_modality: dict[str, list[str]] = {}
    for source in sources:
        if source.modality:
            by_modality.setdefault(source.modality, []).append(source.path.name)
    return tuple(
        f"{' and '.join(names)} both claim to be {modality}; say which one it is."
        for modality, names in by_modality.items()
        if len(names) > 1
    )


def _why_empty(folder: Path) -> str:
    if any(
        file.suffix.lower() in (".dcm", ".ima") or file.name == "DICOMDIR"
        for file in folder.iterdir()
    ):
        return "holds DICOM files, which are not read yet; convert the series to NIfTI."
    return f"holds no image ({', '.join(SUFFIXES)}); choose a folder with one file per modality."
