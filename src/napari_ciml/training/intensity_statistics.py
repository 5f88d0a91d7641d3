"""The scale of CT and PET, measured on the regions of a data set as nnU-Net does for CT."""

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
from napari_ciml.training.settings import TrainSettings, usual_normalisation

_PERCENTILES = (0.5, 99.5)

_PER_CASE = 10_000
"""Voxels drawn of each case that has any, so that a large lesion counts no more than a small."""

_UNITS = {"CT": "HU", "PET": "SUV"}

_Scales = TypeAdapter(dict[str, IntensityStatistics])


def resolve_dataset_normalisation(
    settings: TrainSettings,
    cases: Sequence[LabelledCase],
    cache: Path,
    monitor: ProgressMonitor,
    workers: int = 1,
    start: Path | None = None,
) -> TrainSettings:
    """Return the settings with every ``dataset`` replaced by what the cases' regions show.

    Parameters
    ----------
    settings : TrainSettings
        Returned as they are if there is nothing to measure.
    cases : sequence of LabelledCase
        To be trained on, each with a label map.
    cache : pathlib.Path
        A folder that keeps what was measured.
    monitor : Monitor
        Told after each case.
    workers : int
        Cases read at the same time.
    start : pathlib.Path, optional
        The checkpoint whose weights the training begins with: what it knows is not measured.

    Raises
    ------
    InputError
        For a modality without units, for the first case that cannot be used, or if the regions
        are empty or of one value.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    if start is not None:
        settings = _with(settings, read_info(start).normalisation)
    wanted = [name for name, how in settings.normalisation.items() if how == "dataset"]
    if not wanted:
        return settings
    for name in wanted:
        if name not in _UNITS:
            raise InputError(
                f"{name} has no units that cases share; normalise it by itself "
                f"(--normalise {name}=zscore)."
            )
    made_of = " ".join(digest(case, settings) for case in cases)
    path = (
        ensure_writable_folder(cache)
        / f"intensities-{sha256(made_of.encode()).hexdigest()[:24]}.json"
    )
    scales = _known(path)
    if scales is None:
        scales = _measure(wanted, settings, cases, monitor, workers)
        write_text(path, _Scales.dump_json(scales, indent=2).decode())
    return _with(settings, scales)


def statistics_of(values: np.ndarray, unit: str) -> IntensityStatistics:
    """Return the scale of some voxels: two percentiles, mean and standard deviation.

    Raises
    ------
    ValueError
        If they are all the same.
    """
    low, high = (float(value) for value in np.percentile(values, _PERCENTILES))
    mean, deviation = float(values.mean(dtype=float)), float(values.std(dtype=float))
    return IntensityStatistics(low=low, high=high, mean=mean, deviation=deviation, unit=unit)


def _with(settings: TrainSettings, known: Mapping[str, Normalisation]) -> TrainSettings:
    now = {
        name: known.get(name, how) if how == "dataset" else how
        for name, how in settings.normalisation.items()
    }
    return settings.model_copy(update={"normalisation": now})


def _known(path: Path) -> dict[str, IntensityStatistics] | None:
    try:
        return _Scales.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _measure(
    wanted: Sequence[str],
    settings: TrainSettings,
    cases: Sequence[LabelledCase],
    monitor: ProgressMonitor,
    workers: int,
) -> dict[str, IntensityStatistics]:
    found: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        drawn = pool.map(lambda case: _draw(case, wanted, settings, monitor), cases)
        for done, values in enumerate(drawn):
            monitor.step("Measuring intensities", done + 1, len(cases))
            for name, some in values.items():
                found[name].append(some)
    return {name: _scale(name, parts) for name, parts in found.items()}


def _scale(name: str, parts: list[np.ndarray]) -> IntensityStatistics:
    fixed = usual_normalisation([name])[name]
    hint = f"add cases, or leave its scale fixed (--normalise {name}={fixed})."
    if not parts:
        raise InputError(f"No case has a voxel in any region, so {name} cannot be measured; {hint}")
    try:
        return statistics_of(np.concatenate(parts), _UNITS[name])
    except ValueError as error:
        raise InputError(f"{name} hardly varies within the regions of all cases; {hint}") from error


def _draw(
    labelled: LabelledCase, wanted: Sequence[str], settings: TrainSettings, monitor: ProgressMonitor
) -> dict[str, np.ndarray]:
    """Return as many voxels of each modality inside the regions for every case; none if empty."""
    monitor.raise_if_cancelled()
    case = labelled.open(settings.decomposition.input_modalities)
    if "PET" in wanted:
        require_suv("PET", case.units, case.sources)
    masks = region_masks(read_label_map(labelled.reference, case), settings.decomposition.regions)
    inside = np.flatnonzero(np.logical_or.reduce(list(masks.values())))
    if not inside.size:
        return {}
    chosen = np.random.default_rng(0).choice(inside, _PER_CASE)
    return {name: case.images[name].ravel()[chosen] for name in wanted}
