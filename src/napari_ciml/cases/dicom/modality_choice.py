"""Which of a tree's volumes are proposed as the modalities of a case; the user decides."""

from collections.abc import Sequence

from napari_ciml.cases.dicom.series_index import SeriesVolume

_COVERS = 0.6
"""Share of the largest extent along the normal from which on a volume covers the object."""


def propose(volumes: Sequence[SeriesVolume]) -> tuple[list[str], list[str]]:
    """Choose one volume for each modality, out of one examination.

    Originals go before derived ones, whole heads before slabs, small voxels before large ones; CT
    in the frame of the PET before another, SUV before other units.

    Parameters
    ----------
    volumes : sequence of Volume
        All of a tree.

    Returns
    -------
    notes : list of str
        For each volume why it is left out; empty for those that are proposed.
    assumed : list of str
        Sentences on what was chosen.
    """
    study = _fullest(volumes)
    notes = [_note(volume, study) for volume in volumes]
    wanted = [volume for volume, note in zip(volumes, notes, strict=True) if not note]
    pet_frames = {volume.frame for volume in wanted if volume.what.modality == "PET"}
    assumed = []
    for modality in dict.fromkeys(volume.what.modality for volume in wanted):
        rivals = [k for k, v in enumerate(volumes) if not notes[k] and v.what.modality == modality]
        widest = max(_extent(volumes[k]) for k in rivals)
        rivals.sort(key=lambda k: _rank(volumes[k], pet_frames, widest))
        best = volumes[rivals[0]]
        for k in rivals[1:]:
            notes[k] = f"could be {modality} as well; {_name(best)} is proposed"
        derived = ", though it is derived from other images" if best.what.derived else ""
        others = f" ({len(rivals) - 1} more could be)" if len(rivals) > 1 else ""
        assumed.append(f"{modality} is {best.stack.title}{derived}{others}.")
    chosen = [volume for volume, note in zip(volumes, notes, strict=True) if not note]
    if len({volume.frame for volume in chosen if volume.frame}) > 1:
        assumed.append(
            "The series have different frames of reference; they may not lie over each other."
        )
    return notes, assumed


def _note(volume: SeriesVolume, study: str) -> str:
    if volume.what.modality is None:
        return volume.what.reason
    return "" if volume.study == study else "of another examination"


def _fullest(volumes: Sequence[SeriesVolume]) -> str:
    """Return the examination with most modalities; of several the latest."""
    studies: dict[str, tuple[set[str | None], str]] = {}
    for volume in volumes:
        found, _ = studies.get(volume.study, (set(), ""))
        studies[volume.study] = (found | ({volume.what.modality} - {None}), volume.date)
    order = sorted(studies, key=lambda study: (len(studies[study][0]), studies[study][1]))
    return order[-1] if order else ""


def _rank(volume: SeriesVolume, pet_frames: set[str], widest: float) -> tuple[object, ...]:
    """Return what sorts the best first."""
    return (
        volume.what.derived,
        volume.what.modality == "CT" and bool(pet_frames) and volume.frame not in pet_frames,
        volume.what.modality == "PET" and volume.uptake is not None and volume.uptake.unit != "SUV",
        volume.what.modality == "T1CE" and not volume.by_name,
        volume.what.modality in ("FLAIR", "T2") and volume.by_name,
        _extent(volume) < _COVERS * widest,
        round(volume.stack.grid.voxel_ml, 5),
        volume.number,
    )


def _extent(volume: SeriesVolume) -> float:
    grid = volume.stack.grid
    return grid.size[2] * grid.spacing[2]


def _name(volume: SeriesVolume) -> str:
    return volume.stack.title.partition(" (")[0]
