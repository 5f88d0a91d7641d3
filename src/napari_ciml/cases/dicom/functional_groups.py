"""The planes of a file, from its own tags or from functional groups."""

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
"""Of anything that is looked at as a volume."""

_LONGEST_GROUP = 2**16
"""Bytes of a functional group, which has one item: more would take long to take apart."""

_LARGEST_RATIO = 1000
"""Voxels for each byte of a file, from which on its size is a lie."""


def planes_of(path: Path, dataset: "Dataset") -> Iterator[Plane]:
    """Yield the planes of a file, one for each frame; none where it does not say where they lie."""
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


def items_of(place: "Dataset", sequence: str) -> Any:
    """Return the items of a sequence that has few of them, or None.

    Raises
    ------
    ValueError
        If it is so long that it is damaged.
    """
    if sequence not in place:
        return None
    element = place.get_item(sequence)
    if element.is_raw and int(getattr(element, "length", 0)) > _LONGEST_GROUP:
        raise ValueError(sequence)
    return place.get(sequence)


@dataclass(frozen=True)
class FunctionalGroups:
    """Where a value may stand: in the frame's functional groups, the shared ones, or on top."""

    top: Any
    frame: Any
    shared: Any

    def get(self, sequence: str, keyword: str) -> Any:
        """Return a value, where it stands first; None if nowhere."""
        for place in (self.frame, self.shared):
            items = items_of(place, sequence) if place is not None else None
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return self.top.get(keyword)


def _plane(
    path: Path, frame: int | None, top: "Dataset", groups: FunctionalGroups
) -> Iterator[Plane]:
    position = to_floats(groups.get("PlanePositionSequence", "ImagePositionPatient"), 3)
    turn = to_floats(groups.get("PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    spacing = to_floats(groups.get("PixelMeasuresSequence", "PixelSpacing"), 2)
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
        kind=to_words(kind or top.get("ImageType")),
        slope=to_number(groups.get(scale, "RescaleSlope")) or 1.0,
        intercept=to_number(groups.get(scale, "RescaleIntercept")) or 0.0,
        echo=to_number(groups.get("MREchoSequence", "EffectiveEchoTime") or top.get("EchoTime")),
        b_value=to_number(groups.get("MRDiffusionSequence", "DiffusionBValue")),
        temporal_position=str(moment),
        acquisition_time=_moment(groups, content, top),
    )


def _moment(groups: FunctionalGroups, content: str, top: "Dataset") -> str:
    whole = groups.get(content, "FrameAcquisitionDateTime") or top.get("AcquisitionDateTime")
    if whole:
        return str(whole)
    time = str(top.get("AcquisitionTime") or "")
    date = str(top.get("AcquisitionDate") or top.get("SeriesDate") or "")
    return date + time if time else ""
