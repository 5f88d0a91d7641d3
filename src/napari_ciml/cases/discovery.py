"""Looking at a folder or a file: which volumes are there, which modality each one claims."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from napari_ciml.cases.dicom.header import looks_like_dicom
from napari_ciml.cases.dicom.series_index import holds_dicom
from napari_ciml.cases.dicom.sources import scan_dicom, series_for_modality
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
from napari_ciml.cases.source import DiscoveredCase, VolumeSource
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor

__all__ = ["DECATHLON_ORDER", "DiscoveredCase", "VolumeSource", "discover_volumes"]

DECATHLON_ORDER = ("FLAIR", "T1", "T1CE", "T2")
"""Channels of the Medical Segmentation Decathlon's brain tumour files."""


_SERIES_NUMBER = re.compile(r"#(\d+)")
"""How an override names a series of the case itself."""


def discover_volumes(
    path: Path,
    channels: Sequence[str] | None = None,
    overrides: Mapping[str, Path] | None = None,
    monitor: ProgressMonitor | None = None,
) -> DiscoveredCase:
    """Look at a folder of files, a tree of DICOM series or one file; only headers are read.

    Parameters
    ----------
    path : pathlib.Path
        Folder or file; of HECKTOR also ``imagesTr/CASE``, what its two files begin with.
    channels : sequence of str, optional
        Modalities of a 4-D file's channels, in order.
    overrides : mapping of str to pathlib.Path, optional
        Files or DICOM folders that are this modality whatever they say, or ``#NUMBER`` for a
        DICOM series of the case.
    monitor : Monitor, optional
        Told while DICOM headers are read.

    Raises
    ------
    InputError
        If there is nothing to read, or a file is damaged.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    overrides, monitor = dict(overrides or {}), monitor or ProgressMonitor()
    paired = None if overrides and not path.exists() else hecktor_case(path)
    if paired is not None:
        name, files = paired
        found = DiscoveredCase(name, path, tuple(_named(m, f, monitor) for m, f in files.items()))
    elif path.is_dir():
        found = _scan_folder(case_image_folder(path), overrides, monitor)
    elif path.is_file():
        found = scan_dicom(path, monitor) if looks_like_dicom(path) else _scan_file(path, channels)
    elif overrides:
        found = DiscoveredCase(path.name, path, ())
    else:
        raise InputError(f"{path}: there is no such file or folder.")
    return _overridden(found, overrides, monitor)


def _overridden(
    found: DiscoveredCase, overrides: Mapping[str, Path], monitor: ProgressMonitor
) -> DiscoveredCase:
    """Put what the user names outright in the place of what claims to be the same."""
    numbered = {
        m: int(n[1]) for m, p in overrides.items() if (n := _SERIES_NUMBER.fullmatch(p.name))
    }
    sources, preferred = prefer_derived_files(
        [
            replace(source, modality=None) if source.modality in overrides else source
            for source in found.sources
        ]
    )
    kept = list(sources)
    for modality, number in numbered.items():
        k = _of_series(number, kept, found)
        kept[k] = replace(kept[k], modality=modality, exclusion_reason="")
    kept += [_named(m, file, monitor) for m, file in overrides.items() if m not in numbered]
    problems = found.problems + (_doubled(kept) if found.root.is_dir() else ())
    assumed = tuple(said for said in found.assumed if said.split(" is ")[0] not in overrides)
    return replace(found, sources=tuple(kept), problems=problems, assumed=(*assumed, *preferred))


def _of_series(number: int, sources: Sequence[VolumeSource], found: DiscoveredCase) -> int:
    named = f"Series {number} ("
    for k, source in enumerate(sources):
        if source.stack is not None and source.title.startswith(named):
            return k
    raise InputError(f"{found.root}: holds no volume that is series {number}.")


def _scan_folder(
    folder: Path, overrides: Mapping[str, Path], monitor: ProgressMonitor
) -> DiscoveredCase:
    named = {file.resolve() for file in overrides.values()}
    files = sorted(f for f in folder.iterdir() if f.is_file() and image_suffix(f))
    files = [f for f in files or images_in_modality_folders(folder) if f.resolve() not in named]
    if not files and holds_dicom(folder, monitor):
        return scan_dicom(folder, monitor)
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
            whole = _scan_file(file, None) if len(files) == 1 else None
            if whole is not None:
                return replace(whole, name=folder.name, root=folder)
            skipped.append(f"{file.name} holds {header.channels} volumes; open it by itself.")
            continue
        claims = modalities_in_name(image_stem(file))
        if len(claims) > 1:
            problems.append(f"{file.name} claims to be {' and '.join(claims)}; say which it is.")
        sources.append(
            VolumeSource(file, None, claims[0] if len(claims) == 1 else None, header.grid)
        )
    return DiscoveredCase(
        folder.name, folder, tuple(sources), tuple(skipped), problems=tuple(problems)
    )


def _scan_file(path: Path, channels: Sequence[str] | None) -> DiscoveredCase:
    if not image_suffix(path):
        raise InputError(f"{path}: not a format that is read ({', '.join(SUFFIXES)}).")
    header = read_header(path)
    if header.channels == 1:
        raise InputError(f"{path}: holds one volume; open the folder with all modalities.")
    if channels is not None:
        return _named_channels(path, header, channels)
    if header.channels == len(DECATHLON_ORDER):
        found = _named_channels(path, header, DECATHLON_ORDER)
        said = f"Channels taken to be {', '.join(DECATHLON_ORDER)}, in this order."
        return replace(found, assumed=(said,))
    problem = (
        f"{path.name} has {header.channels} channels and nothing says what they are; name them in "
        "order with --channels A,B,..."
    )
    sources = tuple(VolumeSource(path, k, None, header.grid) for k in range(header.channels))
    return DiscoveredCase(image_stem(path), path, sources, problems=(problem,))


def _named_channels(path: Path, header: Header, names: Sequence[str]) -> DiscoveredCase:
    if len(names) != header.channels or len(set(names)) != len(names):
        raise InputError(
            f"{path}: has {header.channels} channels and {len(set(names))} different names "
            "for them; name each one once."
        )
    sources = tuple(VolumeSource(path, k, name, header.grid) for k, name in enumerate(names))
    return DiscoveredCase(image_stem(path), path, sources)


def _named(modality: str, file: Path, monitor: ProgressMonitor) -> VolumeSource:
    if file.is_dir() or (file.is_file() and not image_suffix(file) and looks_like_dicom(file)):
        return series_for_modality(modality, file, monitor)
    header = read_header(file)
    if header.channels > 1:
        raise InputError(f"{file}: has {header.channels} channels; give one volume for {modality}.")
    return VolumeSource(file, None, modality, header.grid)


def _doubled(sources: Sequence[VolumeSource]) -> tuple[str, ...]:
    by_modality: dict[str, list[str]] = {}
    for source in sources:
        if source.modality:
            by_modality.setdefault(source.modality, []).append(source.title)
    return tuple(
        f"{' and '.join(names)} both claim to be {modality}; say which one it is."
        for modality, names in by_modality.items()
        if len(names) > 1
    )
