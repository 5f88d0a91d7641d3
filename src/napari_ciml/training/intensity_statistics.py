"""Intensity statistics of CT and PET over the regions of a data set, as nnU-Net uses for CT."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.cases.intensity import IntensityStatistics, Normalisation
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.units import require_suv
from napari_ciml.cases.writing import read_label_map
from napari_ciml.errors import InputError
from napari_ciml.files import ensure_writable_folder, write_text
from napari_ciml.network.checkpoint_info import read_info
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.cohort import digest
from napari_ciml.training.settings import TrainSettings, default_normalisation

_PERCENTILES = (0.5, 99.5)

_VOXELS_PER_CASE = 10_000
"""Number of voxels sampled from each case, so that large and small lesions count alike."""

_UNITS = {"CT": "HU", "PET": "SUV"}

_Statistics = TypeAdapter(dict[str, IntensityStatistics])


def resolve_dataset_normalisation(
    settings: TrainSettings,
    cases: Sequence[LabelledCase],
    cache: Path,
    monitor: ProgressMonitor,
    workers: int = 1,
    start: Path | None = None,
) -> TrainSettings:
    """Replace every ``dataset`` normalisation by the intensity statistics of the cases' regions.

    Parameters
    ----------
    settings : TrainSettings
        Returned unchanged if there is nothing to measure.
    cases : sequence of LabelledCase
        Training cases, each with a label map.
    cache : pathlib.Path
        Folder in which statistics are cached.
    monitor : ProgressMonitor
        Receives a step per case.
    workers : int
        Number of cases that are read at the same time.
    start : pathlib.Path, optional
        Checkpoint that the training starts from; its statistics are taken over.

    Raises
    ------
    InputError
        For a modality without units, for the first case that cannot be used, or if the regions
        are empty or of constant intensity.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    if start is not None:
        settings = _resolve(settings, read_info(start).normalisation)
    modalities = [name for name, how in settings.normalisation.items() if how == "dataset"]
    if not modalities:
        return settings
    for name in modalities:
        if name not in _UNITS:
            raise InputError(
                f"{name} has no units that cases share; normalise each case by itself "
                f"(--normalise {name}=zscore)."
            )
    sources = " ".join(digest(case, settings) for case in cases)
    key = sha256(sources.encode()).hexdigest()[:24]
    path = ensure_writable_folder(cache) / f"intensities-{key}.json"
    statistics = _read(path)
    if statistics is None:
        statistics = _measure(modalities, settings, cases, monitor, workers)
        write_text(path, _Statistics.dump_json(statistics, indent=2).decode())
    return _resolve(settings, statistics)


def statistics_of(values: np.ndarray, unit: str) -> IntensityStatistics:
    """Return percentiles 0.5 and 99.5, mean and standard deviation of voxel values.

    Raises
    ------
    ValueError
        If all values are the same.
    """
    low, high = (float(value) for value in np.percentile(values, _PERCENTILES))
    mean, deviation = float(values.mean(dtype=float)), float(values.std(dtype=float))
    return IntensityStatistics(low=low, high=high, mean=mean, deviation=deviation, unit=unit)


def _resolve(settings: TrainSettings, known: Mapping[str, Normalisation]) -> TrainSettings:
    normalisation = {
        name: known.get(name, how) if how == "dataset" else how
        for name, how in settings.normalisation.items()
    }
    return settings.model_copy(update={"normalisation": normalisation})


def _read(path: Path) -> dict[str, IntensityStatistics] | None:
    try:
        return _Statistics.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _measure(
    modalities: Sequence[str],
    settings: TrainSettings,
    cases: Sequence[LabelledCase],
    monitor: ProgressMonitor,
    workers: int,
) -> dict[str, IntensityStatistics]:
    samples: dict[str, list[np.ndarray]] = {name: [] for name in modalities}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        drawn = pool.map(lambda case: _sample(case, modalities, settings, monitor), cases)
        for k, values in enumerate(drawn):
            monitor.step("Measuring intensities", k + 1, len(cases))
            for name, sample in values.items():
                samples[name].append(sample)
    return {name: _statistics(name, parts) for name, parts in samples.items()}


def _statistics(name: str, samples: list[np.ndarray]) -> IntensityStatistics:
    fixed = default_normalisation([name])[name]
    hint = f"add cases, or use a fixed scale (--normalise {name}={fixed})."
    if not samples:
        raise InputError(f"No case has a voxel in any region, so {name} cannot be measured; {hint}")
    try:
        return statistics_of(np.concatenate(samples), _UNITS[name])
    except ValueError as error:
        raise InputError(f"{name} hardly varies within the regions of all cases; {hint}") from error


def _sample(
    labelled: LabelledCase,
    modalities: Sequence[str],
    settings: TrainSettings,
    monitor: ProgressMonitor,
) -> dict[str, np.ndarray]:
    """Return the same number of region voxels of each modality; none if the regions are empty."""
    monitor.raise_if_cancelled()
    case = labelled.open(settings.decomposition.input_modalities)
    if "PET" in modalities:
        require_suv("PET", case.units, case.sources)
    masks = region_masks(read_label_map(labelled.reference, case), settings.decomposition.regions)
    inside = np.flatnonzero(np.logical_or.reduce(list(masks.values())))
    if not inside.size:
        return {}
    chosen = np.random.default_rng(0).choice(inside, _VOXELS_PER_CASE)
    return {name: case.images[name].ravel()[chosen] for name in modalities}
