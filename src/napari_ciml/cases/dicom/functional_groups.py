"""Extract the planes of a DICOM file from its own attributes or its functional groups."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ciml.cases.dicom.plane import Plane
from napari_ciml.cases.dicom.values import to_floats, to_number, to_words

if TYPE_CHECKING:
    from pydicom import Dataset

_SPACINGS_MM = (1e-3, 1e3)
"""Smallest and largest plausible pixel spacing."""

_MAX_GROUP_BYTES = 2**16
"""Largest length of a functional group, which has one item; longer ones are slow to parse."""

_MAX_VOXELS_PER_BYTE = 1000
"""Voxels per byte of the file above which the image size in the header is implausible."""


def planes_of(path: Path, dataset: "Dataset") -> Iterator[Plane]:
    """Yield one plane per frame of a file; none if the position in space is missing.

    Parameters
    ----------
    path : pathlib.Path
        Path of the file.
    dataset : pydicom.Dataset
        Its attributes.

    Raises
    ------
    ValueError
        If the number of frames and of functional groups differ, or a group is too long.
    """
    frames = dataset.get("PerFrameFunctionalGroupsSequence")
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    if not frames:
        if int(dataset.get("NumberOfFrames") or 1) == 1:
            yield from _plane(path, None, dataset, FunctionalGroups(dataset, None, None))
        return
    if len(frames) != int(dataset.get("NumberOfFrames") or 1):
        raise ValueError("PerFrameFunctionalGroupsSequence")
    for k, frame in enumerate(frames):
        yield from _plane(path, k, dataset, FunctionalGroups(dataset, frame, shared))


def items_of(dataset: "Dataset", sequence: str) -> Any:
    """Return the items of a short sequence, or None if it is missing.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Data set or sequence item that holds the sequence.
    sequence : str
        Keyword of the sequence.

    Raises
    ------
    ValueError
        If the sequence is longer than a functional group can be.
    """
    if sequence not in dataset:
        return None
    element = dataset.get_item(sequence)
    if element.is_raw and int(getattr(element, "length", 0)) > _MAX_GROUP_BYTES:
        raise ValueError(sequence)
    return dataset.get(sequence)


@dataclass(frozen=True)
class FunctionalGroups:
    """Look up attributes in the functional groups of a frame, the shared ones, or the top level.

    Parameters
    ----------
    top : pydicom.Dataset
        Attributes at the top level of the file.
    frame : pydicom.Dataset or None
        Item of PerFrameFunctionalGroupsSequence.
    shared : pydicom.Dataset or None
        Item of SharedFunctionalGroupsSequence.
    """

    top: Any
    frame: Any
    shared: Any

    def get(self, sequence: str, keyword: str) -> Any:
        """Return the value of an attribute; None if it is missing.

        Parameters
        ----------
        sequence : str
            Keyword of the sequence that holds the attribute in a functional group.
        keyword : str
            Keyword of the attribute.
        """
        for groups in (self.frame, self.shared):
            items = items_of(groups, sequence) if groups is not None else None
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return self.top.get(keyword)


def _plane(
    path: Path, frame: int | None, top: "Dataset", groups: FunctionalGroups
) -> Iterator[Plane]:
    """Yield the plane of a frame; nothing if its geometry is missing or implausible."""
    position = to_floats(groups.get("PlanePositionSequence", "ImagePositionPatient"), 3)
    orientation = to_floats(groups.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    spacing = to_floats(groups.get("PixelMeasuresSequence", "PixelSpacing"), 2)
    if position is None or orientation is None or spacing is None or not top.get("Rows"):
        return
    row, column = orientation[:3], orientation[3:]
    size = (int(top.Columns), int(top.Rows))
    if min(size) < 1 or size[0] * size[1] > _MAX_VOXELS_PER_BYTE * path.stat().st_size:
        return
    if not _SPACINGS_MM[0] <= min(spacing) <= max(spacing) <= _SPACINGS_MM[1]:
        return
    if np.linalg.norm(np.cross(row, column)) < 0.9:
        return
    content = "FrameContentSequence"
    temporal_position = (
        groups.get(content, "TemporalPositionIndex")
        or top.get("TemporalPositionIdentifier")
        or top.get("TriggerTime")
        or ""
    )
    type_groups = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
    frame_types = (groups.get(name, "FrameType") for name in type_groups)
    image_type = next(filter(None, frame_types), None) or top.get("ImageType")
    rescale = "PixelValueTransformationSequence"
    yield Plane(
        file=path,
        frame=frame,
        size=size,
        position=(position[0], position[1], position[2]),
        row=(row[0], row[1], row[2]),
        column=(column[0], column[1], column[2]),
        spacing=(spacing[1], spacing[0]),
        number=int(top.get("InstanceNumber") or 0) if frame is None else frame + 1,
        kind=to_words(image_type),
        slope=to_number(groups.get(rescale, "RescaleSlope")) or 1.0,
        intercept=to_number(groups.get(rescale, "RescaleIntercept")) or 0.0,
        echo=to_number(groups.get("MREchoSequence", "EffectiveEchoTime") or top.get("EchoTime")),
        b_value=to_number(groups.get("MRDiffusionSequence", "DiffusionBValue")),
        temporal_position=str(temporal_position),
        acquisition_time=_acquisition_time(groups, content, top),
    )


def _acquisition_time(groups: FunctionalGroups, content: str, top: "Dataset") -> str:
    """Return date and time of the acquisition as DICOM writes them; empty if missing."""
    date_time = groups.get(content, "FrameAcquisitionDateTime") or top.get("AcquisitionDateTime")
    if date_time:
        return str(date_time)
    time = str(top.get("AcquisitionTime") or "")
    date = str(top.get("AcquisitionDate") or top.get("SeriesDate") or "")
    return date + time if time else ""
