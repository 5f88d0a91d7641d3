"""DICOM as a case's sources: a tree for the window, or one series named outright."""

from pathlib import Path

from napari_ciml.cases.dicom.modality_choice import propose
from napari_ciml.cases.dicom.series_index import SeriesIndex, SeriesVolume, index_series
from napari_ciml.cases.source import DiscoveredCase, VolumeSource
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor

_SHOWN = ("FLAIR", "T1", "T1CE", "T2", "PET", "CT", None)
"""Order of what is proposed."""


def scan_dicom(root: Path, monitor: ProgressMonitor) -> DiscoveredCase:
    """Look at a folder or a tree of DICOM series and propose modalities.

    Raises
    ------
    InputError
        If there is no volume, or as `index_series`.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    tree = index_series(root, monitor)
    if not tree.volumes:
        raise InputError(_nothing(root, tree))
    notes, assumed = propose(tree.volumes)
    sources = [
        _source(root, volume, None if note else volume.what.modality, note)
        for volume, note in zip(tree.volumes, notes, strict=True)
    ]
    # Proposed ones first: a tree may hold dozens of series.
    sources.sort(key=lambda source: _SHOWN.index(source.modality))
    return DiscoveredCase(tree.name, root, tuple(sources), tree.skipped, tuple(assumed))


def series_for_modality(modality: str, root: Path, monitor: ProgressMonitor) -> VolumeSource:
    """Return the one volume in a folder or a multi-frame file, whatever it says it is.

    Raises
    ------
    InputError
        If there is none, or several.
    """
    tree = index_series(root, monitor)
    if not tree.volumes:
        raise InputError(_nothing(root, tree))
    if len(tree.volumes) > 1:
        titles = "; ".join(volume.stack.title for volume in tree.volumes)
        raise InputError(
            f"{root}: holds {len(tree.volumes)} volumes ({titles}); name one for {modality}, "
            f"by its folder or as {modality}=#NUMBER of a series of the case."
        )
    return _source(root, tree.volumes[0], modality, "")


def _source(root: Path, volume: SeriesVolume, modality: str | None, note: str) -> VolumeSource:
    folders = {plane.file.parent for plane in volume.stack.planes}
    files = {plane.file for plane in volume.stack.planes}
    place = files if len(files) == 1 else folders
    taken = volume.uptake
    return VolumeSource(
        path=next(iter(place)) if len(place) == 1 else root,
        channel=None,
        modality=modality,
        grid=volume.stack.grid,
        stack=volume.stack,
        exclusion_reason=note,
        unit=taken.unit if taken else "HU" if volume.what.modality == "CT" else "",
        unit_reason=taken.reason if taken else "",
    )


def _nothing(root: Path, tree: SeriesIndex) -> str:
    why = " ".join(tree.skipped[:3]) or "Its files are no images."
    return f"{root}: holds no DICOM volume. {why}"
