"""DICOM series as volume sources of a case."""

from pathlib import Path

from napari_ciml.cases.dicom.modality_choice import propose
from napari_ciml.cases.dicom.series_index import SeriesIndex, SeriesVolume, index_series
from napari_ciml.cases.source import DiscoveredCase, VolumeSource
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor

_ORDER = ("FLAIR", "T1", "T1CE", "T2", "PET", "CT", None)
"""Display order of the sources."""


def discover_dicom(root: Path, monitor: ProgressMonitor) -> DiscoveredCase:
    """Index a file, folder or tree of DICOM series and propose the modality of each.

    Raises
    ------
    InputError
        If there is no volume; or as `index_series`.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    index = index_series(root, monitor)
    if not index.volumes:
        raise InputError(_no_volume(root, index))
    reasons, assumptions = propose(index.volumes)
    sources = [
        _source(root, volume, None if reason else volume.kind.modality, reason)
        for volume, reason in zip(index.volumes, reasons, strict=True)
    ]
    # Proposed series first: a tree may hold dozens of others.
    sources.sort(key=lambda source: _ORDER.index(source.modality))
    return DiscoveredCase(index.name, root, tuple(sources), index.skipped, tuple(assumptions))


def series_for_modality(modality: str, root: Path, monitor: ProgressMonitor) -> VolumeSource:
    """Return the only volume of a folder or multi-frame file as a modality, whatever it states.

    Raises
    ------
    InputError
        If there is no volume, or several.
    """
    index = index_series(root, monitor)
    if not index.volumes:
        raise InputError(_no_volume(root, index))
    if len(index.volumes) > 1:
        titles = "; ".join(volume.stack.title for volume in index.volumes)
        raise InputError(
            f"{root}: holds {len(index.volumes)} volumes ({titles}); name one for {modality}, "
            f"by its folder or as {modality}=#NUMBER of a series of the case."
        )
    return _source(root, index.volumes[0], modality, "")


def _source(
    root: Path, volume: SeriesVolume, modality: str | None, exclusion_reason: str
) -> VolumeSource:
    folders = {plane.file.parent for plane in volume.stack.planes}
    files = {plane.file for plane in volume.stack.planes}
    paths = files if len(files) == 1 else folders
    pet_scale = volume.pet_scale
    return VolumeSource(
        path=next(iter(paths)) if len(paths) == 1 else root,
        channel=None,
        modality=modality,
        grid=volume.stack.grid,
        stack=volume.stack,
        exclusion_reason=exclusion_reason,
        unit=pet_scale.unit if pet_scale else "HU" if volume.kind.modality == "CT" else "",
        unit_reason=pet_scale.reason if pet_scale else "",
    )


def _no_volume(root: Path, index: SeriesIndex) -> str:
    reason = " ".join(index.skipped[:3]) or "Its files are no images."
    return f"{root}: holds no DICOM volume. {reason}"
