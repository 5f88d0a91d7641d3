"""A case: every modality of one patient on one grid."""

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

_EQUAL_VOLUME_RATIO = 1.01
"""Voxels up to this ratio of volumes count as equally small when the reference is chosen."""


@dataclass(frozen=True)
class Case:
    """The aligned modalities of one patient.

    Parameters
    ----------
    name : str
        Name for the window; never written to a file.
    images : mapping of str to numpy.ndarray
        By modality, (Z, Y, X) float32, finite, on ``grid``.
    grid : Grid
        The case grid: the voxels of the reference with axes permuted and flipped to the orientation
        closest to LPS. Nothing is interpolated for it; an oblique volume keeps its planes.
    reference : str
        The modality that defines the grid.
    native_grid : Grid
        Grid of the reference's file, on which results are written.
    sources : mapping of str to VolumeSource
        Origin of each modality.
    notices : tuple of str
        What was changed in the data, for the user.
    units : mapping of str to str
        By modality where known: ``HU``, ``SUV``, ``Bq/mL``.
    transforms : mapping of str to AffineTransform
        Of modalities that were registered: maps a point of the case to the point in the file.
    brain : numpy.ndarray, optional
        Brain mask of images with skull, (Z, Y, X) bool; networks see nothing outside of it.
    assumptions : tuple of str
        What was assumed about files or series. Their names may identify the patient, so these are
        shown but not written to reports.
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
        """Return the image a network is given: without skull if there is a brain mask."""
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
    """Discover and load a case without user interaction.

    Parameters
    ----------
    path : pathlib.Path
        Folder of modality files or of DICOM series, or one 4-D file.
    channels, overrides : optional
        As in `discover_volumes`.
    reference, align : optional
        As in `load_case`.
    needed : sequence of str, optional
        Modalities that are required; no other one is read.
    monitor : ProgressMonitor, optional
        Notified at each file.

    Raises
    ------
    InputError
        If a modality is missing or ambiguous, or a file cannot be used.
    """
    case = discover_volumes(path, channels, overrides, monitor)
    return load_discovered(case, reference=reference, needed=needed, align=align, monitor=monitor)


def load_discovered(
    discovered: DiscoveredCase,
    *,
    reference: str | None = None,
    needed: Sequence[str] | None = None,
    align: RegistrationSettings | None = None,
    monitor: ProgressMonitor | None = None,
) -> Case:
    """Load a discovered case; parameters and errors as in `open_case`."""
    path = discovered.root
    sources = {source.modality: source for source in discovered.sources if source.modality}
    requested = tuple(needed) if needed is not None else tuple(sources)
    missing = [name for name in requested if name not in sources]
    for problem in discovered.problems:
        raise InputError(f"{path}: {problem.text} {problem.command_line_hint}")
    if missing or not requested:
        available = ", ".join(sources) or "none"
        raise InputError(
            f"{path}: {', '.join(missing) or 'every modality'} is missing (recognised: "
            f"{available}); add it, name its file with --modality NAME=FILE, or choose another "
            "decomposition."
        )
    case = load_case(
        {name: sources[name] for name in requested},
        name=discovered.name,
        reference=reference,
        align=align,
        monitor=monitor,
    )
    texts = tuple(assumption.text for assumption in discovered.assumptions)
    return replace(case, assumptions=texts)


def load_case(
    sources: Mapping[str, VolumeSource],
    *,
    name: str,
    reference: str | None = None,
    align: RegistrationSettings | None = None,
    transforms: Mapping[str, AffineTransform] | None = None,
    monitor: ProgressMonitor | None = None,
) -> Case:
    """Read every modality and resample it to the grid of the reference.

    Parameters
    ----------
    sources : mapping of str to VolumeSource
        By modality.
    name : str
        Name of the case in the window.
    reference : str, optional
        Modality that defines the grid; by default as `default_reference`.
    align : RegistrationSettings, optional
        Register the other modalities to the reference; by default the positions in the files hold.
    transforms : mapping of str to AffineTransform, optional
        Known transforms, as `Case.transforms`; these modalities are not registered again.
    monitor : ProgressMonitor, optional
        Notified at each file.

    Raises
    ------
    InputError
        If a file cannot be read, is constant, or does not overlap the reference.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    monitor = monitor or ProgressMonitor()
    reference = reference or default_reference(sources)
    if reference not in sources:
        raise InputError(f"The reference {reference} is not in the case ({', '.join(sources)}).")
    order = (reference, *(modality for modality in sources if modality != reference))
    images: dict[str, np.ndarray] = {}
    notices: list[str] = []
    units: dict[str, str] = {}
    known, applied = dict(transforms or {}), {}
    grid, fixed = sources[reference].grid, None

    def read(modality: str) -> tuple[np.ndarray, Grid, list[str]]:
        repairs: list[str] = []
        return *load_volume(modality, sources[modality], repairs, monitor), repairs

    files = map_in_threads(read, order, monitor, "Reading")
    for k, (modality, (array, own_grid, repairs)) in enumerate(zip(order, files, strict=True)):
        monitor.step(f"Placing {modality}", k, len(order))
        notices += repairs
        units[modality] = _unit_with_notices(modality, sources[modality], array, notices)
        if modality == reference:
            grid, images[modality] = own_grid, array
            fixed = _registration_target(array, own_grid, align)
            continue
        if modality in known:
            applied[modality] = known[modality]
            notices.append(f"{modality} is aligned to {reference} as before.")
        elif fixed is not None and align is not None:
            moving = RegistrationImage.of(array, own_grid)
            names = (reference, modality)
            transform, notice = register_modality(fixed, moving, align, monitor, names)
            notices.append(notice)
            if transform != AffineTransform():
                applied[modality] = transform
        transform = applied.get(modality, AffineTransform())
        if transform == AffineTransform() and not own_grid.overlaps(grid):
            raise _no_overlap(modality, reference)
        if not own_grid.is_close(grid):
            notices.append(
                f"{modality} ({own_grid.describe()}) was resampled onto {reference} "
                f"({grid.describe()})."
            )
        images[modality] = _resample_image(array, own_grid, grid, transform)
    return Case(
        name=name,
        images={modality: images[modality] for modality in sources},
        grid=grid,
        reference=reference,
        native_grid=sources[reference].grid,
        sources=dict(sources),
        notices=tuple(notices),
        units=units,
        transforms=applied,
    )


def default_reference(sources: Mapping[str, VolumeSource]) -> str:
    """Return the modality with the smallest voxels; for PET and CT, the PET."""
    order = [modality for modality in MODALITIES if modality in sources]
    order += [modality for modality in sources if modality not in order]
    if "PET" in sources:
        return "PET"
    smallest = min(source.grid.voxel_ml for source in sources.values())
    return next(m for m in order if sources[m].grid.voxel_ml <= smallest * _EQUAL_VOLUME_RATIO)


def _unit_with_notices(
    modality: str, source: VolumeSource, array: np.ndarray, notices: list[str]
) -> str:
    """Return the unit of a modality; add what the user must know about its series and unit."""
    if source.stack is not None:
        notices += [f"{modality}: {clause}." for clause in source.stack.notices]
    unit, reason = infer_unit(modality, source, array)
    if reason:
        notices.append(f"{modality} is shown in {unit}: {reason}.")
    return unit


def _registration_target(
    array: np.ndarray, grid: Grid, settings: RegistrationSettings | None
) -> RegistrationImage | None:
    """Return the reference at the finest resolution of the registration, for all modalities."""
    if settings is None:
        return None
    return RegistrationImage.of(array, grid).shrunk(settings.levels_mm[-1], settings.rim_mm)


def _resample_image(
    array: np.ndarray, own_grid: Grid, grid: Grid, transform: AffineTransform
) -> np.ndarray:
    """Resample an image to the case grid; outside of it lies background."""
    if transform == AffineTransform() and own_grid.is_close(grid):
        return array
    background = background_value(array)
    fill = float(array.min()) if background is None else background
    return resample(array, own_grid, grid, fill=fill, transform=transform)


def _no_overlap(modality: str, reference: str) -> InputError:
    return InputError(
        f"{modality} does not overlap {reference}; they are not of one examination, "
        "or have to be aligned (Align, or --align rigid)."
    )
