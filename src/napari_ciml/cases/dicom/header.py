"""What is read of a DICOM file: a few tags, never the patient's name beyond this module."""

import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ciml.cases.dicom.pixels import AtPixels
from napari_ciml.cases.dicom.plane import Plane
from napari_ciml.cases.dicom.privacy import Person
from napari_ciml.cases.dicom.syntax import unread
from napari_ciml.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_PERSON = ("PatientID", "PatientName", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber")
_SERIES = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "Modality", "SeriesNumber", "SeriesDescription", "ProtocolName", "ImageType", "SeriesDate",
    "SeriesTime", "StudyDate", "EchoTime", "RepetitionTime", "InversionTime", "ScanningSequence",
    "SequenceName", "ContrastBolusAgent", "ConvolutionKernel", "SeriesType",
)  # fmt: skip
_PLANE = (
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "InstanceNumber", "RescaleSlope",
    "RescaleIntercept", "DiffusionBValue", "TemporalPositionIdentifier", "TriggerTime",
    "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "AcquisitionNumber",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_PET = (
    "Units", "SUVType", "CorrectedImage", "DecayCorrection", "DecayCorrected", "PatientWeight",
    "DecayCorrectionDateTime", "AttenuationCorrected", "RadiopharmaceuticalInformationSequence",
)  # fmt: skip
_PRIVATE = ((0x0009, 0x0010), (0x0009, 0x100D), (0x7053, 0x1000), (0x7053, 0x1009))
"""GE's time of the scan; Philips' factors to SUV and to Bq/mL."""

_DAMAGED = (
    OSError, EOFError, ValueError, RuntimeError, AttributeError, KeyError, TypeError, IndexError,
    OverflowError, MemoryError, struct.error, zlib.error,
)  # fmt: skip
"""What pydicom raises for files that are cut short or hold nonsense."""


_SPACINGS_MM = (1e-3, 1e3)
"""Of anything that is looked at as a volume."""

_LARGEST_RATIO = 1000
"""Voxels for each byte of a file, from which on its size is a lie."""


def damage() -> tuple[type[Exception], ...]:
    """Return what reading a damaged file raises."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (BytesLengthException, InvalidDicomError, *_DAMAGED)


class NotDicomError(Exception):
    """A file that is no DICOM, or damaged beyond use."""


@dataclass(frozen=True)
class Header:
    """One file: what it says of its series, and its planes.

    Parameters
    ----------
    file : pathlib.Path
        The file.
    tags : mapping of str to object
        Plain values by keyword; nothing of the patient but the weight.
    planes : tuple of Plane
        Empty if it has no place in space.
    person : Person
        To keep names out of what is shown.
    """

    file: Path
    tags: dict[str, Any]
    planes: tuple[Plane, ...]
    person: Person = field(repr=False)

    @property
    def series(self) -> str:
        """SeriesInstanceUID."""
        return str(self.tags.get("SeriesInstanceUID", ""))


def require_pydicom() -> None:
    """Raise `InputError` if the extra ``dicom`` is not installed."""
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise InputError(
            'DICOM is read with pydicom, which is not installed: pip install "napari-ciml[dicom]".'
        ) from error


def looks_like_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does, or its name says that it is."""
    if path.suffix.lower() in (".dcm", ".ima"):
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_header(path: Path) -> Header:
    """Read the tags that are needed; no pixels.

    Raises
    ------
    NotDicomError
        If the file is damaged or not DICOM.
    """
    from pydicom import config
    from pydicom.filereader import read_partial
    from pydicom.tag import Tag

    wanted: list[Any] = [Tag(name) for name in (*_PERSON, *_SERIES, *_PLANE, *_PET, *_PRIVATE)]
    pixels = AtPixels()
    try:
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
            config.disable_value_validation(),
        ):
            warnings.simplefilter("ignore")
            dataset = read_partial(file, pixels, force=True, specific_tags=wanted)
            found = _header(path, dataset)
            sound = unread(found.tags["TransferSyntaxUID"]) or pixels.fit(dataset)
    except damage() as error:
        raise NotDicomError(str(path)) from error
    if not sound:
        raise NotDicomError(str(path))
    return found


def _header(path: Path, dataset: "Dataset") -> Header:
    if "SOPClassUID" not in dataset or "SeriesInstanceUID" not in dataset:
        raise NotDicomError(str(path))
    tags = {keyword: _plain(dataset.get(keyword)) for keyword in (*_SERIES, *_PET)}
    tags |= {name: _number(dataset.get(name)) for name in ("SamplesPerPixel", "Rows")}
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    tags["TransferSyntaxUID"] = str(syntax) if syntax else None
    number = _number(dataset.get("SeriesNumber"))
    tags["SeriesNumber"] = None if number is None else int(number)
    tags |= _private(dataset) | _radiopharmaceutical(dataset)
    planes = tuple(_planes(path, dataset))
    tags |= {name: value for name, value in _of_first_frame(dataset).items() if not tags.get(name)}
    patient, *others = (str(dataset.get(name) or "") for name in _PERSON)
    return Header(path, tags, planes, Person.of(patient, others))


def _planes(path: Path, dataset: "Dataset") -> Iterator[Plane]:
    frames = dataset.get("PerFrameFunctionalGroupsSequence")
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    if not frames:
        if int(dataset.get("NumberOfFrames") or 1) == 1:
            yield from _plane(path, None, dataset, _Groups(dataset, None, None))
        return
    for k, frame in enumerate(frames):
        yield from _plane(path, k, dataset, _Groups(dataset, frame, shared))


@dataclass(frozen=True)
class _Groups:
    """Where a value may stand: in the frame's functional groups, the shared ones, or on top."""

    top: Any
    frame: Any
    shared: Any

    def get(self, sequence: str, keyword: str) -> Any:
        for place in (self.frame, self.shared):
            items = place.get(sequence) if place is not None else None
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return self.top.get(keyword)


def _plane(path: Path, frame: int | None, top: "Dataset", groups: _Groups) -> Iterator[Plane]:
    position = _floats(groups.get("PlanePositionSequence", "ImagePositionPatient"), 3)
    turn = _floats(groups.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    spacing = _floats(groups.get("PixelMeasuresSequence", "PixelSpacing"), 2)
    if position is None or turn is None or spacing is None or not top.get("Rows"):
        return
    row, column = turn[:3], turn[3:]
    size = (int(top.Columns), int(top.Rows))
    if min(size) < 1 or size[0] * size[1] > _LARGEST_RATIO * path.stat().st_size:
        return
    if not _SPACINGS_MM[0] <= min(spacing) <= max(spacing) <= _SPACINGS_MM[1]:
        return
    if np.linalg.norm(np.cross(row, column)) < 0.9:
        return
    content = "FrameContentSequence"
    moment = (
        groups.get(content, "TemporalPositionIndex")
        or top.get("TemporalPositionIdentifier")
        or top.get("TriggerTime")
        or ""
    )
    kinds = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
    kind = next((k for k in (groups.get(name, "FrameType") for name in kinds) if k), None)
    scale = "PixelValueTransformationSequence"
    yield Plane(
        file=path,
        frame=frame,
        size=size,
        position=(position[0], position[1], position[2]),
        row=(row[0], row[1], row[2]),
        column=(column[0], column[1], column[2]),
        spacing=(spacing[1], spacing[0]),
        number=int(top.get("InstanceNumber") or 0) if frame is None else frame + 1,
        kind=_words(kind or top.get("ImageType")),
        slope=_number(groups.get(scale, "RescaleSlope")) or 1.0,
        intercept=_number(groups.get(scale, "RescaleIntercept")) or 0.0,
        echo=_number(groups.get("MREchoSequence", "EffectiveEchoTime") or top.get("EchoTime")),
        b_value=_number(groups.get("MRDiffusionSequence", "DiffusionBValue")),
        moment=str(moment),
        acquired=_moment(groups, content, top),
    )


def _moment(groups: _Groups, content: str, top: "Dataset") -> str:
    whole = groups.get(content, "FrameAcquisitionDateTime") or top.get("AcquisitionDateTime")
    if whole:
        return str(whole)
    time = str(top.get("AcquisitionTime") or "")
    date = str(top.get("AcquisitionDate") or top.get("SeriesDate") or "")
    return date + time if time else ""


def _of_first_frame(dataset: "Dataset") -> dict[str, Any]:
    """Return what enhanced files keep in their functional groups and others on top."""
    frame = (dataset.get("PerFrameFunctionalGroupsSequence") or [None])[0]
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    if frame is None:
        return {}
    groups = _Groups(dataset, frame, shared)
    timing = "MRTimingAndRelatedParametersSequence"
    return {
        "EchoTime": _number(groups.get("MREchoSequence", "EffectiveEchoTime")),
        "RepetitionTime": _number(groups.get(timing, "RepetitionTime")),
        "InversionTime": _number(groups.get("MRModifierSequence", "InversionTimes")),
        "Units": _plain(groups.get("PixelValueTransformationSequence", "RescaleType")),
        "ContrastBolusAgent": "yes" if "ContrastBolusAgentSequence" in dataset else None,
    }


def _private(dataset: "Dataset") -> dict[str, Any]:
    """Return the vendors' own values that the SUV may need."""
    found = {}
    for name, tag in (
        ("PhilipsSUVFactor", (0x7053, 0x1000)),
        ("PhilipsActivityFactor", (0x7053, 0x1009)),
        ("GEScanDateTime", (0x0009, 0x100D)),
    ):
        element = dataset.get(tag)
        value = getattr(element, "value", None)
        if isinstance(value, bytes):
            value = value.decode("ascii", "ignore").strip("\0 ")
        found[name] = value
    return found


def _radiopharmaceutical(dataset: "Dataset") -> dict[str, Any]:
    items = dataset.get("RadiopharmaceuticalInformationSequence")
    names = (
        "RadionuclideTotalDose",
        "RadionuclideHalfLife",
        "RadiopharmaceuticalStartTime",
        "RadiopharmaceuticalStartDateTime",
    )
    return {name: _plain(items[0].get(name)) if items else None for name in names}


def _plain(value: Any) -> Any:
    """Return a value without pydicom's own types: str, float, tuple of str, or None."""
    if value is None or value == "":
        return None
    if isinstance(value, str | int):
        return value
    if isinstance(value, float) or hasattr(value, "real"):
        return float(value)
    if isinstance(value, Iterable):
        return _words(value)
    return str(value)


def _words(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(part) for part in value)


def _number(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | int | float) and isinstance(value, Iterable):
        value = next(iter(value), None)
    number = float(value) if value is not None else float("nan")
    return number if np.isfinite(number) else None


def _floats(value: Any, count: int) -> tuple[float, ...] | None:
    if value is None or isinstance(value, str) or len(value) != count:
        return None
    numbers = tuple(float(part) for part in value)
    return numbers if np.isfinite(numbers).all() else None
