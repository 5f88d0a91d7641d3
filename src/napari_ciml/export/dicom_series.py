"""The DICOM series that a segmentation refers to: a file for each slice, or one of many frames."""

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
"""In mm: how far a slice may lie from where even spacing would put it."""

_IDENTITY = ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")

_GROUPS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
}
"""Where a multi-frame file says what others say at the top."""

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
    """A series as it is referred to.

    Parameters
    ----------
    images : sequence of pydicom.Dataset
        Single-frame images along their normal, or one multi-frame image.
    grid : Grid
        On which its slices lie.
    slices : numpy.ndarray
        By frame, in the order of the images, which slice of the grid it is.
    """

    images: Sequence["Dataset"]
    grid: Grid
    slices: np.ndarray


class _Plane(NamedTuple):
    """Where a frame lies: LPS in mm; spacing between rows, then between columns."""

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
    found = [file for file in files if file.is_file() and is_dicom(file)]
    if not found:
        raise InputError(f"{folder}: holds no DICOM files; name the folder of the source series.")
    return found


def read_series(series: Sequence["Dataset | Path"]) -> Series:
    """Read the images of one series.

    Parameters
    ----------
    series : sequence of pydicom.Dataset or pathlib.Path
        Single-frame images in any order, or one multi-frame image.

    Raises
    ------
    InputError
        If they are not of one series with one orientation, evenly spaced, one frame at each place.
    """
    images = [_completed(_read(one)) for one in series]
    for one in images:
        lacking = [name for name in _IDENTITY if getattr(one, name, None) in (None, "")]
        if lacking:
            raise InputError(f"The source series lacks {lacking[0]}, which DICOM SEG refers to.")
    if len({one.SeriesInstanceUID for one in images}) != 1:
        raise InputError("DICOM SEG needs the images of exactly one source series.")
    frames = [int(getattr(one, "NumberOfFrames", 1) or 1) for one in images]
    if len(images) > 1 and max(frames) > 1:
        raise InputError(
            "The source series has several multi-frame files; leave one of them there."
        )
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
    """Yield where each frame of an image lies."""
    groups = getattr(image, "PerFrameFunctionalGroupsSequence", None) or [image]
    for frame in groups:
        found = {name: _value(name, frame, image) for name in _GROUPS}
        for name, value in found.items():
            if value is None and name != "SliceThickness":
                raise InputError(f"The source series lacks {name}, which DICOM SEG refers to.")
        down, across = (float(mm) for mm in found["PixelSpacing"])
        yield _Plane(
            np.array(found["ImagePositionPatient"], float),
            np.array(found["ImageOrientationPatient"], float),
            (down, across),
            float(found["SliceThickness"] or 1),
        )


def _value(name: str, frame: "Dataset", image: "Dataset") -> Any:
    """Return a tag of a frame: its own, that which all frames share, or that of the image."""
    shared = getattr(image, "SharedFunctionalGroupsSequence", None) or ()
    for place in (frame, *shared):
        group = getattr(place, _GROUPS[name], None)
        if group and name in group[0] and getattr(group[0], name) not in (None, ""):
            return getattr(group[0], name)
    return getattr(image, name, None) or None


def _grid(planes: Sequence[_Plane], image: "Dataset") -> Grid:
    """Return the grid of sorted planes."""
    first = planes[0]
    row, column = first.cosines[:3], first.cosines[3:]
    normal = np.cross(row, column)
    places = np.array([plane.position for plane in planes])
    between = first.thickness
    if len(planes) > 1:
        step = (places[-1] - places[0]) / (len(planes) - 1)
        apart = np.linalg.norm(np.diff(places, axis=0), axis=1)
        if apart.min() < EVEN:
            raise InputError(
                "The source series has several frames at one place (times, echoes); DICOM SEG "
                "needs one."
            )
        uneven = np.abs(places - (places[0] + np.arange(len(planes))[:, None] * step)).max()
        if uneven > EVEN:
            raise InputError("The slices of the source series are not evenly spaced.")
        between, normal = float(np.linalg.norm(step)), step / np.linalg.norm(step)
    down, across = first.spacing
    return Grid(
        size=(int(image.Columns), int(image.Rows), len(planes)),
        spacing=(across, down, between),
        origin=tuple(places[0].tolist()),
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
        raise InputError(f"{one}: this is no readable DICOM file; get the series again.") from error


def _completed(one: "Dataset") -> "Dataset":
    """Return an image with what DICOM lets be empty, but not be missing, as it often is."""
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
        import highdicom as found
    except ImportError as error:
        raise InputError(
            "DICOM SEG needs highdicom; install it with: pip install 'napari-ciml[dicom]'"
        ) from error
    return found
