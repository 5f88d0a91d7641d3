"""Source series of a DICOM SEG: a file for each slice, or one multi-frame file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

EVEN = 1e-2
"""Largest deviation of a slice from even spacing, in mm."""

_IDENTITY = ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")

_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
}
"""Functional group of a multi-frame file that contains an attribute."""

_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)


@dataclass(frozen=True, eq=False)
class Series:
    """A source series.

    Parameters
    ----------
    images : sequence of pydicom.Dataset
        Single-frame images sorted along their normal, or one multi-frame image.
    grid : Grid
        Grid of the slices.
    slices : numpy.ndarray
        Slice index on the grid of each frame, in the order of the images.
    """

    images: Sequence["Dataset"]
    grid: Grid
    slices: np.ndarray


class _Plane(NamedTuple):
    """Position of a frame, LPS in mm; spacing between rows, then between columns."""

    position: np.ndarray
    cosines: np.ndarray
    spacing: tuple[float, float]
    thickness: float


def dicom_files_in(folder: Path) -> list[Path]:
    """Return the DICOM files of a folder.

    Raises
    ------
    InputError
        If there is none, or pydicom is not installed.
    """
    highdicom()
    from pydicom.misc import is_dicom

    files = sorted(folder.iterdir()) if folder.is_dir() else []
    dicom_files = [file for file in files if file.is_file() and is_dicom(file)]
    if not dicom_files:
        raise InputError(f"{folder}: holds no DICOM files; name the folder of the source series.")
    return dicom_files


def read_series(series: Sequence["Dataset | Path"]) -> Series:
    """Read the images of one series.

    Parameters
    ----------
    series : sequence of pydicom.Dataset or pathlib.Path
        Single-frame images in any order, or one multi-frame image.

    Raises
    ------
    InputError
        If they are not of one series with one orientation and evenly spaced, unique positions.
    """
    images = [_with_optional_attributes(_read(one)) for one in series]
    for one in images:
        missing = [name for name in _IDENTITY if getattr(one, name, None) in (None, "")]
        if missing:
            raise InputError(f"The source series lacks {missing[0]}, which DICOM SEG refers to.")
    if len({one.SeriesInstanceUID for one in images}) != 1:
        raise InputError("DICOM SEG needs the images of exactly one source series.")
    frames = [int(getattr(one, "NumberOfFrames", 1) or 1) for one in images]
    if len(images) > 1 and max(frames) > 1:
        raise InputError("The source series has several multi-frame files; keep only one of them.")
    planes = [plane for one in images for plane in _planes(one)]
    first = planes[0]
    if max(np.abs(plane.cosines - first.cosines).max() for plane in planes) > 1e-4:
        raise InputError("The images of the source series have several orientations.")
    normal = np.cross(first.cosines[:3], first.cosines[3:])
    order = np.argsort([float(normal @ plane.position) for plane in planes], kind="stable")
    grid = _grid([planes[k] for k in order], images[0])
    if len(images) > 1:
        return Series([images[k] for k in order], grid, np.arange(len(images)))
    return Series(images, grid, np.argsort(order))


def _planes(image: "Dataset") -> Iterator[_Plane]:
    """Yield the position of each frame of an image."""
    frames = getattr(image, "PerFrameFunctionalGroupsSequence", None) or [image]
    for frame in frames:
        values = {name: _value(name, frame, image) for name in _GROUPS}
        for name, value in values.items():
            if value is None and name != "SliceThickness":
                raise InputError(f"The source series lacks {name}, which DICOM SEG refers to.")
        down, across = (float(mm) for mm in values["PixelSpacing"])
        yield _Plane(
            np.array(values["ImagePositionPatient"], float),
            np.array(values["ImageOrientationPatient"], float),
            (down, across),
            float(values["SliceThickness"] or 1),
        )


def _value(name: str, frame: "Dataset", image: "Dataset") -> Any:
    """Return an attribute of a frame: its own, the shared one, or that of the image."""
    shared = getattr(image, "SharedFunctionalGroupsSequence", None) or ()
    for groups in (frame, *shared):
        group = getattr(groups, _GROUPS[name], None)
        if group and name in group[0] and getattr(group[0], name) not in (None, ""):
            return getattr(group[0], name)
    return getattr(image, name, None) or None


def _grid(planes: Sequence[_Plane], image: "Dataset") -> Grid:
    """Return the grid of sorted planes."""
    first = planes[0]
    row, column = first.cosines[:3], first.cosines[3:]
    normal = np.cross(row, column)
    positions = np.array([plane.position for plane in planes])
    slice_spacing = first.thickness
    if len(planes) > 1:
        step = (positions[-1] - positions[0]) / (len(planes) - 1)
        distances = np.linalg.norm(np.diff(positions, axis=0), axis=1)
        if distances.min() < EVEN:
            raise InputError(
                "The source series has several frames at one position (times, echoes); DICOM SEG "
                "needs one."
            )
        even = positions[0] + np.arange(len(planes))[:, None] * step
        if np.abs(positions - even).max() > EVEN:
            raise InputError("The slices of the source series are not evenly spaced.")
        slice_spacing, normal = float(np.linalg.norm(step)), step / np.linalg.norm(step)
    down, across = first.spacing
    return Grid(
        size=(int(image.Columns), int(image.Rows), len(planes)),
        spacing=(across, down, slice_spacing),
        origin=tuple(positions[0].tolist()),
        direction=tuple(np.stack([row, column, normal], axis=1).ravel().tolist()),
    )


def _read(one: "Dataset | Path") -> "Dataset":
    if not isinstance(one, Path):
        return one
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        return dcmread(one, stop_before_pixels=True)
    except (OSError, InvalidDicomError) as error:
        raise InputError(
            f"{one}: this is not a readable DICOM file; get the series again."
        ) from error


def _with_optional_attributes(one: "Dataset") -> "Dataset":
    """Add attributes that DICOM allows to be empty, but not to be missing, as they often are."""
    for name in _MAY_BE_EMPTY:
        if name not in one:
            setattr(one, name, "")
    return one


def highdicom() -> Any:
    """Return highdicom.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        import highdicom
    except ImportError as error:
        raise InputError(
            "DICOM SEG needs highdicom; install it with: pip install 'napari-ciml[dicom]'"
        ) from error
    return highdicom
