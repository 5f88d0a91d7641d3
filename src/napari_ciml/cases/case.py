"""A case: every modality on one grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_ciml.cases.alignment import register_modality
from napari_ciml.cases.discovery import DiscoveredCase, VolumeSource, discover_volumes
from napari_ciml.cases.geometry import Grid, resample
from napari_ciml.cases.intensity import background_value
from napari_ciml.cases.loading import load_volume
from napari_ciml.cases.modality_names import MODALITIES
from napari_ciml.cases.registration import RegistrationImage, RegistrationSettings
from napari_ciml.cases.transform import AffineTransform
from napari_ciml.cases.units import infer_unit
from napari_ciml.errors import InputError
from napari_ciml.parallel import map_in_threads
from napari_ciml.progress import ProgressMonitor

_SAME_VOLUME = 1.01
"""Voxels up to this ratio of volumes count as equally small when a reference is chosen."""


@dataclass(frozen=True)
class Case:
    """One patient's modalities, aligned.

    Parameters
    ----------
    name : str
        For the window; written nowhere.
    images : mapping of str to numpy.ndarray
        By modality, (Z, Y, X) float32, finite, on ``grid``.
    grid : Grid
        The case grid: the reference's own voxels, axes permuted and flipped to the orientation
        closest to LPS. Nothing is interpolated for it, an oblique volume keeps its planes.
    reference : str
        The modality on whose grid everything lies.
    native : Grid
        Of the reference's file, where results are written.
    sources : mapping of str to Source
        Where each modality comes from.
    notices : tuple of str
        What was done to the data that the user must know.
    units : mapping of str to str
        By modality, where there is one: ``HU``, ``SUV``, ``Bq/mL``.
    motions : mapping of str to Motion
        Of the modalities that were aligned: from a point of the case to where the file has it.
    brain : numpy.ndarray, optional
        Of images that show the skull: (Z, Y, X) bool, what of them a network is shown.
    assumed : tuple of str
        What was assumed of which file or series. It has their names, which may name the patient:
        it is told, and stands in no report.
    """

    name: str
    images: Mapping[str, np.ndarray]
    grid: Grid
    reference: str
    native_grid: Grid
    sources: Mapping[str, VolumeSource]
    notices: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    transforms: Mapping[str, AffineTransform] = field(default_factory=dict)
    brain: np.ndarray | None = None
    assumptions: tuple[str, ...] = ()

    def network_view(self, modality: str) -> np.ndarray:
        """Return what a network is shown of a modality: without skull, where there is a mask."""
        image = self.images[modality]
        if self.brain is None:
            return image
        return np.where(self.brain, image, np.float32(min(0.0, float(image.min()))))


def open_case(
    path: Path,
    *,
    channels: Sequence[str] | None = None,
    overrides: Mapping[str, Path] | None = None,
    reference: str | None = None,
    needed: Sequence[str] | None = None,
    align: RegistrationSettings | None = None,
    monitor: ProgressMonitor | None = None,
) -> Case:
    """Scan and load in one go, for callers who cannot ask.

    Parameters
    ----------
    path : pathlib.Path
        Folder of modality files or of DICOM series, or one 4-D file.
    channels, overrides
        As `scan`.
    reference, align : optional
        As `load_case`.
    needed : sequence of str, optional
        Modalities that must be there; no other one is read.
    monitor : Monitor, optional
        Told at each file.

    Raises
    ------
    InputError
        If a modality is missing or claimed twice, or a file cannot be used.
    """
    found = discover_volumes(path, channels, overrides, monitor)
    return load_discovered(found, reference=reference, needed=needed, align=align, monitor=monitor)


def load_discovered(
    found: DiscoveredCase,
    *,
    reference: str | None = None,
    needed: Sequence[str] | None = None,
    align: RegistrationSettings | None = None,
    monitor: ProgressMonitor | None = None,
) -> Case:
    """Load what a look at a folder or file has found; parameters and errors as `open_case`."""
    path = found.root
    sources = {source.modality: source for source in found.sources if source.modality}
    wanted = tuple(needed) if needed is not None else tuple(sources)
    missing = [name for name in wanted if name not in sources]
    if found.problems:
        hint = "" if "--channels" in found.problems[0] else " Name it with --modality NAME=FILE."
        raise InputError(f"{path}: {found.problems[0]}{hint}")
    if missing or not wanted:
        have = ", ".join(sources) or "none"
        raise InputError(
            f"{path}: {', '.join(missing) or 'every modality'} is missing (recognised: {have}); "
            "add it, name its file with --modality NAME=FILE, or choose another decomposition."
        )
    chosen = {name: sources[name] for name in wanted}
    case = load_case(chosen, name=found.name, reference=reference, align=align, monitor=monitor)
    return replace(case, assumptions=found.assumed)


def load_case(
    sources: Mapping[str, VolumeSource],
    *,
    name: str,
    reference: str | None = None,
    align: RegistrationSettings | None = None,
    motions: Mapping[str, AffineTransform] | None = None,
    monitor: ProgressMonitor | None = None,
) -> Case:
    """Read every modality and bring it onto the grid of the reference.

    Parameters
    ----------
    sources : mapping of str to Source
        By modality.
    name : str
        What the case is called in the window.
    reference : str, optional
        Modality whose grid is kept; by default as `default_reference`.
    align : RegistrationSettings, optional
        Register the other modalities to it; by default the files' positions are believed.
    motions : mapping of str to Motion, optional
        Of modalities that were aligned before, as `Case.transforms`; they are not registered again.
    monitor : Monitor, optional
        Told at each file.

    Raises
    ------
    InputError
        If a file cannot be read, is constant, or shares no space with the reference.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    monitor = monitor or ProgressMonitor()
    reference = reference or default_reference(sources)
    if reference not in sources:
        raise InputError(f"The reference {reference} is not in the case ({', '.join(sources)}).")
    native = sources[reference].grid
    order = (reference, *(modality for modality in sources if modality != reference))
    images: dict[str, np.ndarray] = {}
    notices: list[str] = []
    units: dict[str, str] = {}
    known = dict(motions or {})
    moved: dict[str, AffineTransform] = {}
    grid = native
    fixed = None

    def read(modality: str) -> tuple[np.ndarray, Grid, list[str]]:
        mended: list[str] = []
        return *load_volume(modality, sources[modality], mended, monitor), mended

    files = map_in_threads(read, order, monitor, "Reading")
    for done, (modality, (array, own, mended)) in enumerate(zip(order, files, strict=True)):
        monitor.step(f"Placing {modality}", done, len(order))
        notices += mended
        if (series := sources[modality].stack) is not None:
            notices += [f"{modality}: {said}." for said in series.notices]
        units[modality], why = infer_unit(modality, sources[modality], array)
        if why:
            notices.append(f"{modality} is shown in {units[modality]}: {why}.")
        if modality == reference:
            grid, images[modality] = own, array
            fixed = _to_register(array, own, align)
            continue
        if modality in known:
            moved[modality] = known[modality]
            notices.append(f"{modality} is aligned to {reference} as before.")
        elif fixed is not None and align is not None:
            moving = RegistrationImage.of(array, own)
            names = (reference, modality)
            motion, said = register_modality(fixed, moving, align, monitor, names)
            notices.append(said)
            if motion != AffineTransform():
                moved[modality] = motion
        motion = moved.get(modality, AffineTransform())
        images[modality] = _placed(modality, array, own, grid, reference, notices, motion)
    images = {modality: images[modality] for modality in sources}
    told = tuple(notices)
    return Case(name, images, grid, reference, native, dict(sources), told, units, moved)


def default_reference(sources: Mapping[str, VolumeSource]) -> str:
    """Return the modality with the smallest voxels; of PET and CT the PET."""
    order = [modality for modality in MODALITIES if modality in sources]
    order += [modality for modality in sources if modality not in order]
    if "PET" in sources:
        return "PET"
    smallest = min(source.grid.voxel_ml for source in sources.values())
    return next(m for m in order if sources[m].grid.voxel_ml <= smallest * _SAME_VOLUME)


def _to_register(
    array: np.ndarray, grid: Grid, settings: RegistrationSettings | None
) -> RegistrationImage | None:
    """Return the reference as registration looks at it, once for all other modalities."""
    if settings is None:
        return None
    return RegistrationImage.of(array, grid).shrunk(settings.levels_mm[-1], settings.rim_mm)


def _placed(
    modality: str,
    array: np.ndarray,
    own: Grid,
    grid: Grid,
    reference: str,
    notices: list[str],
    motion: AffineTransform,
) -> np.ndarray:
    if motion == AffineTransform() and own.is_close(grid):
        return array
    if motion == AffineTransform() and not own.overlaps(grid):
        raise InputError(
            f"{modality} shares no space with {reference}; they are not of one examination, "
            "or have to be aligned (Align, or --align rigid)."
        )
    if not own.is_close(grid):
        notices.append(
            f"{modality} ({own.describe()}) was resampled onto {reference} ({grid.describe()})."
        )
    value = background_value(array)
    fill = float(array.min()) if value is None else value
    return resample(array, own, grid, fill=fill, motion=motion)
