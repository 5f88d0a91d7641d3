"""The files of a segmentation and of an explanation.

None of them names the patient: the summary tells modalities and grids, never paths.
"""

import csv
import io
from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import label_map, region_masks
from napari_ciml.cases.write import at_modality, write_on_native_grid
from napari_ciml.explanation.explain import Explanation
from napari_ciml.export.text import write_json, write_text
from napari_ciml.inference.segment import Segmentation
from napari_ciml.monitor import Monitor

_BELOW = 1e-4
"""How far under its threshold a voxel is put that was taken out of a mask."""

WEIGHT_COLUMNS = ("primary", "region", "auxiliary", "weight")


def write_segmentation(
    folder: Path,
    case: Case,
    segmentation: Segmentation,
    monitor: Monitor,
    grid: str | None = None,
) -> list[Path]:
    """Write ``segmentation.nii.gz``, ``probability_<REGION>.nii.gz`` and ``summary.json``.

    With an uncertainty also ``uncertainty_<REGION>.nii.gz``, the predictive entropy in bits.

    Parameters
    ----------
    folder : pathlib.Path
        Exists and can be written to.
    case : Case
        Gives the grids.
    segmentation : Segmentation
        What is written.
    monitor : Monitor
        Told before each file.
    grid : str, optional
        Modality on whose file's voxels results lie; by default the reference.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    monitor.step("Writing")
    labels, probabilities = on_grid_of(grid or case.reference, case, segmentation)
    volumes = {"segmentation": labels} | {
        f"probability_{name}": values for name, values in probabilities.items()
    }
    if segmentation.uncertainty is not None:
        found = segmentation.uncertainty.entropy
        where = grid or case.reference
        volumes |= {f"uncertainty_{n}": at_modality(v, case, where) for n, v in found.items()}
    paths = []
    for done, (name, values) in enumerate(volumes.items()):
        monitor.step("Writing", done, len(volumes))
        paths.append(folder / f"{name}.nii.gz")
        write_on_native_grid(paths[-1], values, case, grid)
    return [*paths, write_summary(folder, case, segmentation, grid)]


def on_grid_of(
    modality: str, case: Case, segmentation: Segmentation
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the label map and the regions' probabilities where a modality's voxels lie.

    Probabilities are resampled and then thresholded: a label map of nearest voxels would have the
    steps of both grids. What was removed from a mask or filled in it stays so.

    Raises
    ------
    InputError
        If the case has no such modality.
    """
    if modality == case.reference:
        return segmentation.label_map, segmentation.probabilities
    regions = segmentation.plan.decomposition.regions
    masks = region_masks(segmentation.label_map, regions)
    placed, moved = {}, {}
    for name, values in segmentation.probabilities.items():
        threshold = np.float32(segmentation.settings.threshold(name))
        decided = np.where(
            masks[name], np.maximum(values, threshold), np.minimum(values, threshold - _BELOW)
        )
        placed[name] = at_modality(decided, case, modality) >= threshold
        moved[name] = at_modality(values, case, modality)
    return label_map(placed, regions), moved


def write_explanation(
    folder: Path,
    case: Case,
    explanation: Explanation,
    monitor: Monitor,
    grid: str | None = None,
) -> list[Path]:
    """Write ``complementary_<PRIMARY>_<REGION>_<AUX>.nii.gz`` and ``weights.csv``.

    Parameters and return value are as in `write_segmentation`.
    """
    paths = []
    for done, ((pair, auxiliary), values) in enumerate(explanation.maps.items()):
        monitor.step("Writing", done, len(explanation.maps))
        name = f"complementary_{pair.primary}_{pair.region}_{auxiliary}.nii.gz"
        paths.append(folder / name)
        placed = at_modality(values, case, grid or case.reference)
        write_on_native_grid(paths[-1], placed, case, grid)
    return [*paths, write_text(folder / "weights.csv", weights_csv(explanation))]


def write_summary(
    folder: Path, case: Case, segmentation: Segmentation, grid: str | None = None
) -> Path:
    """Write ``summary.json``."""
    return write_json(folder / "summary.json", summary(case, segmentation, grid))


def summary(case: Case, segmentation: Segmentation, grid: str | None = None) -> dict[str, object]:
    """Return what ``summary.json`` holds."""
    written = case.sources[grid].grid if grid and grid in case.sources else case.native
    plan = segmentation.plan
    return {
        "checkpoint_sha256": segmentation.checkpoint,
        "decomposition": plan.decomposition.model_dump(mode="json"),
        "muted": sorted(f"{m.primary}:{m.auxiliary}" for m in plan.muted),
        "pairs": [f"{pair.primary}:{pair.region}" for pair in plan.pairs],
        "missing_modalities": list(segmentation.missing),
        "reference_modality": case.reference,
        "grid_modality": grid or case.reference,
        "grid": written.describe(),
        "aligned": sorted(case.motions),
        "thresholds": {
            name: segmentation.settings.threshold(name) for name in plan.decomposition.region_names
        },
        "ensemble_weights": {
            f"{pair.primary}:{pair.region}": plan.weight(pair) for pair in plan.pairs
        },
        "samples": segmentation.settings.samples,
        "seed": segmentation.settings.seed,
        "cleaned": segmentation.settings.clean,
        "engine": segmentation.engine,
        "device": segmentation.device,
        "seconds": segmentation.seconds,
        "peak_memory_mib": round(segmentation.peak_memory_mib, 1),
        "volumes_ml": {name: round(ml, 3) for name, ml in segmentation.volumes_ml.items()},
        "notices": list(segmentation.notices),
    }


def weights_csv(explanation: Explanation) -> str:
    """Return the weights as CSV with the columns `WEIGHT_COLUMNS`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(WEIGHT_COLUMNS)
    for (pair, auxiliary), weight in explanation.weights.items():
        writer.writerow((pair.primary, pair.region, auxiliary, f"{weight:.6f}"))
    return text.getvalue()
