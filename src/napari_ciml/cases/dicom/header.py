"""Read the header of a DICOM file: the tags that are used, without pixel data.

The patient's name and identifiers leave this module only as `PatientIdentifiers`, for redaction.
"""

import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ciml.cases.dicom.functional_groups import FunctionalGroups, planes_of
from napari_ciml.cases.dicom.pixel_check import StopAtPixelData
from napari_ciml.cases.dicom.plane import Plane
from napari_ciml.cases.dicom.privacy import PatientIdentifiers
from napari_ciml.cases.dicom.transfer_syntax import unsupported_transfer_syntax
from napari_ciml.cases.dicom.values import to_number, to_plain
from napari_ciml.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_PATIENT = ("PatientID", "PatientName", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber")
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
"""GE's private creator and scan date and time; Philips' factors to SUV and to Bq/mL."""

_PARSE_ERRORS = (
    OSError, EOFError, ValueError, RuntimeError, AttributeError, KeyError, TypeError, IndexError,
    OverflowError, MemoryError, struct.error, zlib.error,
)  # fmt: skip
"""Exceptions that pydicom raises for truncated or corrupt files."""


def parse_errors() -> tuple[type[Exception], ...]:
    """Return the exception types that reading a damaged file raises."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (BytesLengthException, InvalidDicomError, *_PARSE_ERRORS)


class NotDicomError(Exception):
    """A file that is not DICOM, or too damaged to be used."""


@dataclass(frozen=True)
class Header:
    """Tags and planes of one DICOM file.

    Parameters
    ----------
    file : pathlib.Path
        Path of the file.
    tags : dict of str to object
        Plain values by keyword; the only patient attribute is the weight.
    planes : tuple of Plane
        Planes of the file; empty if their position in space is missing.
    person : PatientIdentifiers
        Identifiers of the patient, to redact them in displayed text.
    """

    file: Path
    tags: dict[str, Any]
    planes: tuple[Plane, ...]
    person: PatientIdentifiers = field(repr=False)

    @property
    def series(self) -> str:
        """SeriesInstanceUID; empty if it is missing."""
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
    """Whether a file has the DICOM prefix or a file extension used for DICOM."""
    if path.suffix.lower() in (".dcm", ".ima"):
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_header(path: Path) -> Header:
    """Read the tags of a file without its pixel data.

    Parameters
    ----------
    path : pathlib.Path
        Path of the file.

    Raises
    ------
    NotDicomError
        If the file is damaged or is not DICOM.
    """
    from pydicom import config
    from pydicom.filereader import read_partial
    from pydicom.tag import Tag

    tags: list[Any] = [Tag(name) for name in (*_PATIENT, *_SERIES, *_PLANE, *_PET, *_PRIVATE)]
    pixels = StopAtPixelData()
    try:
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
            config.disable_value_validation(),
        ):
            warnings.simplefilter("ignore")
            dataset = read_partial(file, pixels, force=True, specific_tags=tags)
            header = _header_of(path, dataset)
            # An unsupported transfer syntax is reported for the series, not as a damaged file.
            syntax = unsupported_transfer_syntax(header.tags["TransferSyntaxUID"])
            is_valid = bool(syntax) or pixels.fit(dataset)
    except parse_errors() as error:
        raise NotDicomError(str(path)) from error
    if not is_valid:
        raise NotDicomError(str(path))
    return header


def _header_of(path: Path, dataset: "Dataset") -> Header:
    """Return the header of a data set.

    Raises
    ------
    NotDicomError
        If the UID of the SOP class or of the series is missing.
    """
    if "SOPClassUID" not in dataset or "SeriesInstanceUID" not in dataset:
        raise NotDicomError(str(path))
    tags = {keyword: to_plain(dataset.get(keyword)) for keyword in (*_SERIES, *_PET)}
    tags |= {name: to_number(dataset.get(name)) for name in ("SamplesPerPixel", "Rows")}
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    tags["TransferSyntaxUID"] = str(syntax) if syntax else None
    number = to_number(dataset.get("SeriesNumber"))
    tags["SeriesNumber"] = None if number is None else int(number)
    tags |= _private_tags(dataset) | _radiopharmaceutical_tags(dataset)
    planes = tuple(planes_of(path, dataset))
    frame_tags = _first_frame_tags(dataset)
    tags |= {name: value for name, value in frame_tags.items() if not tags.get(name)}
    patient, *others = (str(dataset.get(name) or "") for name in _PATIENT)
    return Header(path, tags, planes, PatientIdentifiers.of(patient, others))


def _first_frame_tags(dataset: "Dataset") -> dict[str, Any]:
    """Return attributes that enhanced files keep in functional groups, not at the top level."""
    frame = (dataset.get("PerFrameFunctionalGroupsSequence") or [None])[0]
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    if frame is None:
        return {}
    groups = FunctionalGroups(dataset, frame, shared)
    timing = "MRTimingAndRelatedParametersSequence"
    return {
        "EchoTime": to_number(groups.get("MREchoSequence", "EffectiveEchoTime")),
        "RepetitionTime": to_number(groups.get(timing, "RepetitionTime")),
        "InversionTime": to_number(groups.get("MRModifierSequence", "InversionTimes")),
        "Units": to_plain(groups.get("PixelValueTransformationSequence", "RescaleType")),
        "ContrastBolusAgent": "yes" if "ContrastBolusAgentSequence" in dataset else None,
    }


def _private_tags(dataset: "Dataset") -> dict[str, Any]:
    """Return private attributes of vendors that the SUV may need."""
    values = {}
    for name, tag in (
        ("PhilipsSUVFactor", (0x7053, 0x1000)),
        ("PhilipsActivityFactor", (0x7053, 0x1009)),
        ("GEScanDateTime", (0x0009, 0x100D)),
    ):
        element = dataset.get(tag)
        value = getattr(element, "value", None)
        if isinstance(value, bytes):
            value = value.decode("ascii", "ignore").strip("\0 ")
        values[name] = value
    return values


def _radiopharmaceutical_tags(dataset: "Dataset") -> dict[str, Any]:
    """Return dose, half-life and injection time of the first radiopharmaceutical."""
    items = dataset.get("RadiopharmaceuticalInformationSequence")
    names = (
        "RadionuclideTotalDose",
        "RadionuclideHalfLife",
        "RadiopharmaceuticalStartTime",
        "RadiopharmaceuticalStartDateTime",
    )
    return {name: to_plain(items[0].get(name)) if items else None for name in names}
