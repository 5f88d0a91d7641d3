"""A folder, or a tree of folders, of DICOM files: which series are there, and what each one is."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from napari_ciml.cases.dicom.header import (
    Header,
    NotDicomError,
    looks_like_dicom,
    read_header,
    require_pydicom,
)
from napari_ciml.cases.dicom.plane import Plane
from napari_ciml.cases.dicom.privacy import PatientIdentifiers, redact
from napari_ciml.cases.dicom.series_kind import SeriesKind, is_enhanced_by_name, recognise
from napari_ciml.cases.dicom.suv import PetScale, suv_scale
from napari_ciml.cases.dicom.transfer_syntax import unsupported_transfer_syntax
from napari_ciml.cases.dicom.volume import (
    NoVolumeError,
    Stack,
    group_planes,
    stack_planes,
    with_gantry_tilt_notice,
)
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor

_LOOKED_AT = 5000
"""Files after which a folder without DICOM is given up: it may be anybody's home."""

_LONGEST_TITLE = 64

_MANY_DIRECTIONS = 3
"""Groups of planes from which on a series is no set of volumes but a fan of slices."""


@dataclass(frozen=True)
class SeriesVolume:
    """A series, or the part of one, that is a volume.

    Parameters
    ----------
    stack : Stack
        Its planes.
    what : Recognised
        Its modality, or why it is left out.
    uptake : Uptake or None
        Of PET.
    number : int
        SeriesNumber.
    study, frame : str
        UIDs of the examination and of its frame of reference.
    date : str
        Of the examination.
    by_name : bool
        Whether the description itself speaks of contrast agent.
    """

    stack: Stack
    what: SeriesKind
    uptake: PetScale | None
    number: int
    study: str
    frame: str
    date: str
    by_name: bool


@dataclass(frozen=True)
class SeriesIndex:
    """What is in a folder of DICOM files.

    Parameters
    ----------
    name : str
        For the window; not the patient's.
    volumes : tuple of Volume
        By series number.
    skipped : tuple of str
        Sentences: series that are no volume, files that are damaged.
    """

    name: str
    volumes: tuple[SeriesVolume, ...]
    skipped: tuple[str, ...]


def holds_dicom(folder: Path, monitor: ProgressMonitor) -> bool:
    """Whether a DICOM file lies in a folder, or below it, among the first files there."""
    return first_dicom(folder, monitor) is not None


def first_dicom(folder: Path, monitor: ProgressMonitor) -> Path | None:
    """Return the first DICOM file in a folder, or below it, among the first files there."""
    for path in islice(files_below(folder), _LOOKED_AT):
        monitor.raise_if_cancelled()
        if looks_like_dicom(path):
            return path
    return None


def files_below(root: Path) -> Iterator[Path]:
    """Yield files in the order of their paths; a single file is itself."""
    if root.is_file():
        yield root
        return
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name != "DICOMDIR":
                yield Path(folder, name)


def index_series(root: Path, monitor: ProgressMonitor) -> SeriesIndex:
    """Read the headers of all files and put series together.

    Parameters
    ----------
    root : pathlib.Path
        A folder, or one file.
    monitor : Monitor
        Told after every few files.

    Raises
    ------
    InputError
        If pydicom is missing, nothing is DICOM, or the files are of several patients.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    require_pydicom()
    monitor.step("Looking for DICOM files")
    paths = []
    for path in files_below(root):
        monitor.raise_if_cancelled()
        if looks_like_dicom(path):
            paths.append(path)
    headers, damaged = _headers(paths, monitor)
    if not headers:
        raise InputError(f"{root}: holds no DICOM file that can be read; get the files again.")
    people = tuple(dict.fromkeys(header.person for header in headers))
    patients = {person.number for person in people if person.number}
    if len(patients) > 1:
        raise InputError(
            f"{root}: holds series of {len(patients)} patients; open the folder of one of them."
        )
    volumes: list[SeriesVolume] = []
    skipped: list[str] = []
    series: dict[str, list[Header]] = {}
    for header in headers:
        series.setdefault(header.series, []).append(header)
    for members in series.values():
        monitor.raise_if_cancelled()
        found, said = _volumes(members, people)
        volumes += found
        skipped += said
    if damaged:
        files = "1 file is" if damaged == 1 else f"{damaged} files are"
        skipped.append(f"{files} damaged and left out.")
    named = root.resolve().name
    volumes.sort(key=lambda volume: (volume.date, volume.study, volume.number))
    return SeriesIndex(redact(named, people, "case"), tuple(volumes), tuple(skipped))


def _headers(paths: Sequence[Path], monitor: ProgressMonitor) -> tuple[list[Header], int]:
    """Read every header; one of each instance, however often it was copied."""
    found: dict[str, Header] = {}
    damaged = 0
    for done, path in enumerate(paths):
        if done % 10 == 0:
            monitor.step("Reading DICOM headers", done, len(paths))
        try:
            header = read_header(path)
        except NotDicomError:
            damaged += 1
            continue
        found.setdefault(str(header.tags.get("SOPInstanceUID") or path), header)
    return list(found.values()), damaged


def _volumes(
    members: Sequence[Header], people: Sequence[PatientIdentifiers]
) -> tuple[list[SeriesVolume], list[str]]:
    """Return the volumes of a series, and sentences on what is none."""
    tags = members[0].tags
    title = _title(tags, people)
    planes = [plane for header in members for plane in header.planes]
    first = recognise(tags, planes[0].kind if planes else (), None)
    if not planes or int(tags.get("SamplesPerPixel") or 1) > 1:
        return [], [f"{title} is left out: it is {first.reason or _why_no_planes(tags)}."]
    packed = next(
        filter(
            None,
            (unsupported_transfer_syntax(header.tags["TransferSyntaxUID"]) for header in members),
        ),
        "",
    )
    if packed:
        why = f"its images are packed as {packed}, which is not read; have them sent as JPEG 2000"
        return [], [f"{title} is left out: {why}."]
    groups = group_planes(planes)
    if len(groups) > _MANY_DIRECTIONS and max(map(len, groups)) < len(planes) / 2:
        why = first.reason or "not parallel slices"
        return [], [f"{title} is left out: it is {why}."]
    volumes, skipped = [], []
    for group in groups:
        own = title if len(groups) == 1 else f"{title}{_part(group, groups)}"
        what = recognise(tags, group[0].kind, group[0].echo)
        if any(plane.b_value for plane in group):
            what = SeriesKind(None, "diffusion-weighted", what.derived)
        try:
            made = with_gantry_tilt_notice(stack_planes(group))
        except NoVolumeError as error:
            skipped.append(f"{own} is left out: it {error}.")
            continue
        volumes.append(_volume(replace(made, title=own), what, tags))
    return volumes, skipped


def _volume(made: Stack, what: SeriesKind, tags: dict[str, Any]) -> SeriesVolume:
    taken = (
        suv_scale(tags, min(plane.acquisition_time for plane in made.planes))
        if _is_pet(tags)
        else None
    )
    if taken is not None:
        made = replace(made, factor=taken.factor)
    return SeriesVolume(
        stack=made,
        what=what,
        uptake=taken,
        number=int(tags.get("SeriesNumber") or 0),
        study=str(tags.get("StudyInstanceUID") or ""),
        frame=str(tags.get("FrameOfReferenceUID") or ""),
        date=str(tags.get("StudyDate") or ""),
        by_name=is_enhanced_by_name(tags),
    )


def _is_pet(tags: dict[str, Any]) -> bool:
    return tags.get("Modality") == "PT"


def _title(tags: dict[str, Any], people: Sequence[PatientIdentifiers]) -> str:
    number = tags.get("SeriesNumber")
    said = str(tags.get("SeriesDescription") or tags.get("ProtocolName") or "").strip()
    kind = str(tags.get("Modality") or "images")
    plain = "".join(c if c.isprintable() else " " for c in said)[:_LONGEST_TITLE]
    shown = redact(" ".join(plain.split()), people, kind) or kind
    return f"Series {number} ({shown})" if number is not None else f"Series ({shown})"


def _part(group: Sequence[Plane], groups: Sequence[Sequence[Plane]]) -> str:
    """Say what sets one group of a series' planes apart from the others."""
    echoes = {round(other[0].echo or 0, 1) for other in groups}
    if len(echoes) > 1 and group[0].echo is not None:
        return f", echo at {group[0].echo:g} ms"
    kinds = {other[0].kind for other in groups}
    if len(kinds) > 1:
        common = set.intersection(*(set(kind) for kind in kinds))
        return f", {' '.join(word for word in group[0].kind if word not in common) or 'others'}"
    return f", part {[other is group for other in groups].index(True) + 1}"


def _why_no_planes(tags: dict[str, Any]) -> str:
    if int(tags.get("SamplesPerPixel") or 1) > 1:
        return "in colour"
    return "no volume, it does not say where its images lie" if tags.get("Rows") else "no image"
