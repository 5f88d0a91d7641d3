"""Propose a DICOM volume for each modality of a case; the user decides."""

from collections.abc import Sequence

from napari_ciml.cases.dicom.series_index import SeriesVolume
from napari_ciml.cases.notices import AssumedModality, Assumption, DifferentFrames

_MIN_COVERAGE = 0.6
"""Fraction of the largest extent along the normal from which on a volume counts as complete."""


def propose(volumes: Sequence[SeriesVolume]) -> tuple[list[str], list[Assumption]]:
    """Choose one volume for each modality, all from one study.

    Original images are preferred to derived ones, complete volumes to slabs, small voxels to large
    ones, a CT in the frame of reference of the PET to others, and SUV to other units.

    Parameters
    ----------
    volumes : sequence of SeriesVolume
        All volumes of a tree.

    Returns
    -------
    exclusion_reasons : list of str
        For each volume, why it is left out; empty for those that are proposed.
    assumptions : list of Assumption
        What was chosen.
    """
    study = _study_with_most_modalities(volumes)
    reasons = [_exclusion_reason(volume, study) for volume in volumes]
    candidates = [v for v, reason in zip(volumes, reasons, strict=True) if not reason]
    pet_frames = {volume.frame for volume in candidates if volume.kind.modality == "PET"}
    assumptions: list[Assumption] = []
    for modality in dict.fromkeys(volume.kind.modality for volume in candidates):
        if modality is None:
            continue
        rivals = [
            k for k, v in enumerate(volumes) if not reasons[k] and v.kind.modality == modality
        ]
        largest = max(_extent_mm(volumes[k]) for k in rivals)
        rivals.sort(key=lambda k: _rank(volumes[k], pet_frames, largest))
        best = volumes[rivals[0]]
        for k in rivals[1:]:
            reasons[k] = f"could be {modality} as well; {best.stack.short_title} is proposed"
        assumptions.append(
            AssumedModality(modality, best.stack.title, best.kind.derived, len(rivals) - 1)
        )
    frames = {v.frame for v, reason in zip(volumes, reasons, strict=True) if not reason and v.frame}
    if len(frames) > 1:
        assumptions.append(DifferentFrames())
    return reasons, assumptions


def _exclusion_reason(volume: SeriesVolume, study: str) -> str:
    if volume.kind.modality is None:
        return volume.kind.reason
    return "" if volume.study == study else "of another examination"


def _study_with_most_modalities(volumes: Sequence[SeriesVolume]) -> str:
    """Return the UID of the study with most modalities; of several, the latest."""
    studies: dict[str, tuple[set[str | None], str]] = {}
    for volume in volumes:
        modalities, _ = studies.get(volume.study, (set(), ""))
        studies[volume.study] = (modalities | ({volume.kind.modality} - {None}), volume.date)
    order = sorted(studies, key=lambda study: (len(studies[study][0]), studies[study][1]))
    return order[-1] if order else ""


def _rank(volume: SeriesVolume, pet_frames: set[str], largest_mm: float) -> tuple[object, ...]:
    """Return a sort key that puts the best volume first."""
    modality = volume.kind.modality
    return (
        volume.kind.derived,
        modality == "CT" and bool(pet_frames) and volume.frame not in pet_frames,
        modality == "PET" and volume.pet_scale is not None and volume.pet_scale.unit != "SUV",
        modality == "T1CE" and not volume.enhanced_by_name,
        modality in ("FLAIR", "T2") and volume.enhanced_by_name,
        _extent_mm(volume) < _MIN_COVERAGE * largest_mm,
        round(volume.stack.grid.voxel_ml, 5),
        volume.number,
    )


def _extent_mm(volume: SeriesVolume) -> float:
    grid = volume.stack.grid
    return grid.size[2] * grid.spacing[2]
