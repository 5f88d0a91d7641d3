"""Discover the volumes of a folder or file and the modality of each; only headers are read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from napari_ciml.cases.dicom.header import (
    NotDicomError,
    looks_like_dicom,
    require_pydicom,
)
from napari_ciml.cases.dicom.header import read_header as read_dicom_header
from napari_ciml.cases.dicom.series_index import first_dicom, holds_dicom
from napari_ciml.cases.dicom.sources import discover_dicom, series_for_modality
from napari_ciml.cases.formats.volumes import (
    SUFFIXES,
    Header,
    image_stem,
    image_suffix,
    read_header,
)
from napari_ciml.cases.layouts import (
    case_image_folder,
    hecktor_case,
    images_in_modality_folders,
    prefer_derived_files,
)
from napari_ciml.cases.modality_names import is_label_map_name, modalities_in_name
from napari_ciml.cases.notices import (
    AmbiguousFile,
    AssumedChannels,
    AssumedModality,
    DuplicateModality,
    UnnamedChannels,
)
from napari_ciml.cases.source import DiscoveredCase, VolumeSource
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor

__all__ = [
    "DECATHLON_ORDER",
    "DiscoveredCase",
    "VolumeSource",
    "discover_volumes",
    "is_case_folder",
]

DECATHLON_ORDER = ("FLAIR", "T1", "T1CE", "T2")
"""Channels of the brain tumour files of the Medical Segmentation Decathlon."""

_SERIES_NUMBER = re.compile(r"#(\d+)")
"""Form of an override that names a DICOM series of the case by its number."""


def discover_volumes(
    path: Path,
    channels: Sequence[str] | None = None,
    overrides: Mapping[str, Path] | None = None,
    monitor: ProgressMonitor | None = None,
) -> DiscoveredCase:
    """Discover the volumes of a folder of files, a tree of DICOM series or one file.

    Parameters
    ----------
    path : pathlib.Path
        Folder or file; for HECKTOR also ``imagesTr/CASE``, the common stem of its two files.
    channels : sequence of str, optional
        Modalities of the channels of a 4-D file, in order.
    overrides : mapping of str to pathlib.Path, optional
        By modality, a file or DICOM folder that is this modality whatever its name or header
        states, or ``#NUMBER`` for a DICOM series of the case.
    monitor : ProgressMonitor, optional
        Notified while DICOM headers are read.

    Raises
    ------
    InputError
        If there is nothing to read, or a file is damaged.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    overrides, monitor = dict(overrides or {}), monitor or ProgressMonitor()
    pair = None if overrides and not path.exists() else hecktor_case(path)
    if pair is not None:
        name, files = pair
        sources = tuple(_source_of_modality(m, f, monitor) for m, f in files.items())
        case = DiscoveredCase(name, path, sources)
    elif path.is_dir():
        case = _discover_folder(case_image_folder(path), overrides, monitor)
    elif path.is_file():
        is_dicom = looks_like_dicom(path)
        case = discover_dicom(path, monitor) if is_dicom else _discover_channels(path, channels)
    elif overrides:
        case = DiscoveredCase(path.name, path, ())
    else:
        raise InputError(f"{path}: there is no such file or folder.")
    return _apply_overrides(case, overrides, monitor)


def is_case_folder(folder: Path, monitor: ProgressMonitor | None = None) -> bool:
    """Whether an existing folder is one case: it holds modality files, or DICOM series.

    Subfolders of DICOM are series of one case if they belong to one patient and at least two of
    them, on average, share a study; studies of a patient in a folder each are cases of their own.

    Parameters
    ----------
    folder : pathlib.Path
        The folder.
    monitor : ProgressMonitor, optional
        Notified at each folder that is searched for DICOM.

    Raises
    ------
    InputError
        If there is DICOM and pydicom is not installed.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    monitor = monitor or ProgressMonitor()
    files = [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    if any(image_suffix(path) for path in files):
        return _holds_modality_files(folder, monitor)
    if any(looks_like_dicom(path) for path in files if path.name != "DICOMDIR"):
        return True
    return bool(images_in_modality_folders(folder)) or _holds_series_of_one_case(folder, monitor)


def _holds_modality_files(folder: Path, monitor: ProgressMonitor) -> bool:
    """Whether the images of a folder are at least two modalities without duplicates."""
    try:
        case = discover_volumes(folder, monitor=monitor)
    except InputError:
        return False
    modalities = [source.modality for source in case.sources if source.modality]
    return len(modalities) > 1 and not case.problems


def _holds_series_of_one_case(folder: Path, monitor: ProgressMonitor) -> bool:
    """Whether subfolders of DICOM belong to one patient and share studies."""
    patients, studies = [], []
    folders = sorted(path for path in folder.glob("[!.]*") if path.is_dir())
    for k, path in enumerate(folders):
        monitor.step("Looking for DICOM", k, len(folders))
        first = first_dicom(path, monitor)
        if first is None:
            continue
        require_pydicom()
        try:
            header = read_dicom_header(first)
        except NotDicomError:
            continue
        patients.append(header.person.number)
        studies.append(header.tags.get("StudyInstanceUID") or first)
    return len(set(patients)) == 1 and 2 * len(set(studies)) <= len(studies)


def _apply_overrides(
    case: DiscoveredCase, overrides: Mapping[str, Path], monitor: ProgressMonitor
) -> DiscoveredCase:
    """Let each override replace the sources that were recognised as its modality."""
    numbers = {
        modality: int(match[1])
        for modality, path in overrides.items()
        if (match := _SERIES_NUMBER.fullmatch(path.name))
    }
    preferred, preferences = prefer_derived_files(
        [
            replace(source, modality=None) if source.modality in overrides else source
            for source in case.sources
        ]
    )
    sources = list(preferred)
    for modality, number in numbers.items():
        k = _index_of_series(number, sources, case)
        sources[k] = replace(sources[k], modality=modality, exclusion_reason="")
    sources += [
        _source_of_modality(modality, file, monitor)
        for modality, file in overrides.items()
        if modality not in numbers
    ]
    problems = case.problems + (_duplicates(sources) if case.root.is_dir() else ())
    assumptions = tuple(
        assumption
        for assumption in case.assumptions
        if not (isinstance(assumption, AssumedModality) and assumption.modality in overrides)
    )
    return replace(
        case,
        sources=tuple(sources),
        problems=problems,
        assumptions=(*assumptions, *preferences),
    )


def _index_of_series(number: int, sources: Sequence[VolumeSource], case: DiscoveredCase) -> int:
    for k, source in enumerate(sources):
        if source.stack is not None and source.stack.series_number == number:
            return k
    raise InputError(f"{case.root}: holds no volume that is series {number}.")


def _discover_folder(
    folder: Path, overrides: Mapping[str, Path], monitor: ProgressMonitor
) -> DiscoveredCase:
    overriding = {file.resolve() for file in overrides.values()}
    files = sorted(f for f in folder.iterdir() if f.is_file() and image_suffix(f))
    files = files or images_in_modality_folders(folder)
    files = [f for f in files if f.resolve() not in overriding]
    if not files and holds_dicom(folder, monitor):
        return discover_dicom(folder, monitor)
    if not files and not overrides:
        raise InputError(
            f"{folder}: holds no image ({', '.join(SUFFIXES)}, DICOM); "
            "choose a folder with one file per modality."
        )
    sources, skipped, problems = [], [], []
    if any(looks_like_dicom(f) for f in folder.iterdir() if f.is_file() and not image_suffix(f)):
        skipped.append("DICOM files beside these files are left out; open their folder by itself.")
    for file in files:
        if is_label_map_name(image_stem(file)):
            skipped.append(f"{file.name} is a label map or a result, not an image.")
            continue
        header = read_header(file)
        if header.channels > 1:
            if len(files) == 1:
                return replace(_discover_channels(file, None), name=folder.name, root=folder)
            skipped.append(f"{file.name} holds {header.channels} volumes; open it by itself.")
            continue
        modalities = modalities_in_name(image_stem(file))
        if len(modalities) > 1:
            problems.append(AmbiguousFile(file, modalities))
        modality = modalities[0] if len(modalities) == 1 else None
        sources.append(VolumeSource(file, None, modality, header.grid))
    return DiscoveredCase(
        folder.name, folder, tuple(sources), tuple(skipped), problems=tuple(problems)
    )


def _discover_channels(path: Path, channels: Sequence[str] | None) -> DiscoveredCase:
    """Return the channels of a 4-D file."""
    if not image_suffix(path):
        raise InputError(f"{path}: not a format that is read ({', '.join(SUFFIXES)}).")
    header = read_header(path)
    if header.channels == 1:
        raise InputError(f"{path}: holds one volume; open the folder with all modalities.")
    if channels is not None:
        return _with_channel_names(path, header, channels)
    if header.channels == len(DECATHLON_ORDER):
        case = _with_channel_names(path, header, DECATHLON_ORDER)
        return replace(case, assumptions=(AssumedChannels(DECATHLON_ORDER),))
    sources = tuple(VolumeSource(path, k, None, header.grid) for k in range(header.channels))
    problem = UnnamedChannels(path, header.channels)
    return DiscoveredCase(image_stem(path), path, sources, problems=(problem,))


def _with_channel_names(path: Path, header: Header, names: Sequence[str]) -> DiscoveredCase:
    if len(names) != header.channels or len(set(names)) != len(names):
        raise InputError(
            f"{path}: has {header.channels} channels and {len(set(names))} different names "
            "for them; name each one once."
        )
    sources = tuple(VolumeSource(path, k, name, header.grid) for k, name in enumerate(names))
    return DiscoveredCase(image_stem(path), path, sources)


def _source_of_modality(modality: str, file: Path, monitor: ProgressMonitor) -> VolumeSource:
    """Return a file or DICOM series as a modality, whatever its name or header states."""
    if file.is_dir() or (file.is_file() and not image_suffix(file) and looks_like_dicom(file)):
        return series_for_modality(modality, file, monitor)
    header = read_header(file)
    if header.channels > 1:
        raise InputError(f"{file}: has {header.channels} channels; give one volume for {modality}.")
    return VolumeSource(file, None, modality, header.grid)


def _duplicates(sources: Sequence[VolumeSource]) -> tuple[DuplicateModality, ...]:
    by_modality: dict[str, list[str]] = {}
    for source in sources:
        if source.modality:
            by_modality.setdefault(source.modality, []).append(source.title)
    return tuple(
        DuplicateModality(modality, tuple(titles))
        for modality, titles in by_modality.items()
        if len(titles) > 1
    )
