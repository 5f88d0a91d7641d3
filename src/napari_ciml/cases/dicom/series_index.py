"""Index the DICOM series of a file, folder or tree: which volumes there are, and what each is."""

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
from napari_ciml.cases.dicom.series_kind import SeriesKind, is_enhanced_by_name, recognise_series
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

_MAX_FILES_WITHOUT_DICOM = 5000
"""Number of files after which the search for DICOM in a folder is given up."""

_MAX_TITLE = 64
"""Length of a series description in characters."""

_MANY_ORIENTATIONS = 3
"""Number of groups of planes above which a series is no set of volumes but a radial fan."""

_REPORT_EVERY = 10


@dataclass(frozen=True)
class SeriesVolume:
    """A DICOM series, or a part of one, that is a volume.

    Parameters
    ----------
    stack : Stack
        Its planes.
    kind : SeriesKind
        Its modality, or why it is left out.
    pet_scale : PetScale or None
        Unit and scale of a PET.
    number : int
        SeriesNumber.
    study, frame : str
        UIDs of the study and of its frame of reference.
    date : str
        StudyDate.
    enhanced_by_name : bool
        Whether the description names a contrast agent.
    """

    stack: Stack
    kind: SeriesKind
    pet_scale: PetScale | None
    number: int
    study: str
    frame: str
    date: str
    enhanced_by_name: bool


@dataclass(frozen=True)
class SeriesIndex:
    """The volumes of a folder of DICOM files.

    Parameters
    ----------
    name : str
        Name for the window, never the patient's.
    volumes : tuple of SeriesVolume
        In the order of date, study and series number.
    skipped : tuple of str
        Sentences on series that are no volume and on damaged files.
    """

    name: str
    volumes: tuple[SeriesVolume, ...]
    skipped: tuple[str, ...]


def holds_dicom(folder: Path, monitor: ProgressMonitor) -> bool:
    """Whether a DICOM file is among the first files in or below a folder."""
    return first_dicom(folder, monitor) is not None


def first_dicom(folder: Path, monitor: ProgressMonitor) -> Path | None:
    """Return the first DICOM file among the first files in or below a folder."""
    for path in islice(files_below(folder), _MAX_FILES_WITHOUT_DICOM):
        monitor.raise_if_cancelled()
        if looks_like_dicom(path):
            return path
    return None


def files_below(root: Path) -> Iterator[Path]:
    """Yield the files below a folder in the order of their paths; of a file, the file itself."""
    if root.is_file():
        yield root
        return
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and name != "DICOMDIR":
                yield Path(folder, name)


def index_series(root: Path, monitor: ProgressMonitor) -> SeriesIndex:
    """Read the headers of all files and assemble the volumes of each series.

    Parameters
    ----------
    root : pathlib.Path
        A folder, or one file.
    monitor : ProgressMonitor
        Notified after every few files.

    Raises
    ------
    InputError
        If pydicom is not installed, no file is DICOM, or the files belong to several patients.
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
    headers, damaged = _read_headers(paths, monitor)
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
    by_series: dict[str, list[Header]] = {}
    for header in headers:
        by_series.setdefault(header.series, []).append(header)
    for members in by_series.values():
        monitor.raise_if_cancelled()
        series_volumes, sentences = _volumes_of_series(members, people)
        volumes += series_volumes
        skipped += sentences
    if damaged:
        files = "1 file is" if damaged == 1 else f"{damaged} files are"
        skipped.append(f"{files} damaged and left out.")
    volumes.sort(key=lambda volume: (volume.date, volume.study, volume.number))
    name = redact(root.resolve().name, people, "case")
    return SeriesIndex(name, tuple(volumes), tuple(skipped))


def _read_headers(paths: Sequence[Path], monitor: ProgressMonitor) -> tuple[list[Header], int]:
    """Return one header per instance, however many copies there are, and the damaged files."""
    headers: dict[str, Header] = {}
    damaged = 0
    for k, path in enumerate(paths):
        if k % _REPORT_EVERY == 0:
            monitor.step("Reading DICOM headers", k, len(paths))
        try:
            header = read_header(path)
        except NotDicomError:
            damaged += 1
            continue
        headers.setdefault(str(header.tags.get("SOPInstanceUID") or path), header)
    return list(headers.values()), damaged


def _volumes_of_series(
    members: Sequence[Header], people: Sequence[PatientIdentifiers]
) -> tuple[list[SeriesVolume], list[str]]:
    """Return the volumes of a series, and a sentence for each part that is none."""
    tags = members[0].tags
    title = _title(tags, people)
    planes = [plane for header in members for plane in header.planes]
    groups = group_planes(planes)
    reason = _why_no_volume(members, groups)
    if reason:
        return [], [f"{title} is left out: {reason}."]
    volumes, skipped = [], []
    for group in groups:
        own_title = title if len(groups) == 1 else f"{title}{_part_label(group, groups)}"
        kind = recognise_series(tags, group[0].kind, group[0].echo)
        if any(plane.b_value for plane in group):
            kind = SeriesKind(None, "diffusion-weighted", kind.derived)
        try:
            stack = with_gantry_tilt_notice(stack_planes(group))
        except NoVolumeError as error:
            skipped.append(f"{own_title} is left out: it {error}.")
            continue
        volumes.append(_series_volume(replace(stack, title=own_title), kind, tags))
    return volumes, skipped


def _why_no_volume(members: Sequence[Header], groups: Sequence[Sequence[Plane]]) -> str:
    """Return why a series holds no volume that can be read, as a clause; empty if it may."""
    tags = members[0].tags
    kind = recognise_series(tags, groups[0][0].kind if groups else (), None)
    if not groups or int(tags.get("SamplesPerPixel") or 1) > 1:
        return f"it is {kind.reason or _why_no_planes(tags)}"
    syntaxes = (unsupported_transfer_syntax(header.tags["TransferSyntaxUID"]) for header in members)
    syntax = next(filter(None, syntaxes), "")
    if syntax:
        return f"its images are packed as {syntax}, which is not read; have them sent as JPEG 2000"
    counts = [len(group) for group in groups]
    if len(groups) > _MANY_ORIENTATIONS and max(counts) < sum(counts) / 2:
        return f"it is {kind.reason or 'not parallel slices'}"
    return ""


def _series_volume(stack: Stack, kind: SeriesKind, tags: dict[str, Any]) -> SeriesVolume:
    number = tags.get("SeriesNumber")
    pet_scale = None
    if tags.get("Modality") == "PT":
        pet_scale = suv_scale(tags, min(plane.acquisition_time for plane in stack.planes))
        stack = replace(stack, factor=pet_scale.factor)
    return SeriesVolume(
        stack=replace(stack, series_number=number),
        kind=kind,
        pet_scale=pet_scale,
        number=number or 0,
        study=str(tags.get("StudyInstanceUID") or ""),
        frame=str(tags.get("FrameOfReferenceUID") or ""),
        date=str(tags.get("StudyDate") or ""),
        enhanced_by_name=is_enhanced_by_name(tags),
    )


def _title(tags: dict[str, Any], people: Sequence[PatientIdentifiers]) -> str:
    """Return number and description of a series, without what identifies the patient."""
    number = tags.get("SeriesNumber")
    description = str(tags.get("SeriesDescription") or tags.get("ProtocolName") or "").strip()
    modality = str(tags.get("Modality") or "images")
    printable = "".join(c if c.isprintable() else " " for c in description)[:_MAX_TITLE]
    text = redact(" ".join(printable.split()), people, modality) or modality
    return f"Series {number} ({text})" if number is not None else f"Series ({text})"


def _part_label(group: Sequence[Plane], groups: Sequence[Sequence[Plane]]) -> str:
    """Return what distinguishes one group of planes from the others of its series."""
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
    if tags.get("Rows"):
        return "no volume, its images have no position or orientation"
    return "no image"
