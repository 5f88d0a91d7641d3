"""What is read of a DICOM file: a few tags, never the patient's name beyond this module."""

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


def parse_errors() -> tuple[type[Exception], ...]:
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
    person: PatientIdentifiers = field(repr=False)

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
    pixels = StopAtPixelData()
    try:
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
            config.disable_value_validation(),
        ):
            warnings.simplefilter("ignore")
            dataset = read_partial(file, pixels, force=True, specific_tags=wanted)
            found = _header(path, dataset)
            sound = unsupported_transfer_syntax(found.tags["TransferSyntaxUID"]) or pixels.fit(
                dataset
            )
    except parse_errors() as error:
        raise NotDicomError(str(path)) from error
    if not sound:
        raise NotDicomError(str(path))
    return found


def _header(path: Path, dataset: "Dataset") -> Header:
    if "SOPClassUID" not in dataset or "SeriesInstanceUID" not in dataset:
        raise NotDicomError(str(path))
    tags = {keyword: to_plain(dataset.get(keyword)) for keyword in (*_SERIES, *_PET)}
    tags |= {name: to_number(dataset.get(name)) for name in ("SamplesPerPixel", "Rows")}
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    tags["TransferSyntaxUID"] = str(syntax) if syntax else None
    number = to_number(dataset.get("SeriesNumber"))
    tags["SeriesNumber"] = None if number is None else int(number)
    tags |= _private(dataset) | _radiopharmaceutical(dataset)
    planes = tuple(planes_of(path, dataset))
    tags |= {name: value for name, value in _of_first_frame(dataset).items() if not tags.get(name)}
    patient, *others = (str(dataset.get(name) or "") for name in _PERSON)
    return Header(path, tags, planes, PatientIdentifiers.of(patient, others))


def _of_first_frame(dataset: "Dataset") -> dict[str, Any]:
    """Return what enhanced files keep in their functional groups and others on top."""
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
    return {name: to_plain(items[0].get(name)) if items else None for name in names}
