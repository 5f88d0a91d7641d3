"""The files of a segmentation and of an explanation.

None of them names the patient: the summary tells modalities and grids, never paths.
"""

import csv
import io
from pathlib import Path

from napari_ciml.cases.case import Case
from napari_ciml.cases.write import write_on_native_grid
from napari_ciml.explanation.explain import Explanation
from napari_ciml.export.text import write_json, write_text
from napari_ciml.inference.segment import Segmentation
from napari_ciml.monitor import Monitor

WEIGHT_COLUMNS = ("primary", "region", "auxiliary", "weight")


def write_segmentation(
    folder: Path, case: Case, segmentation: Segmentation, monitor: Monitor
) -> list[Path]:
    """Write ``segmentation.nii.gz``, ``probability_<REGION>.nii.gz`` and ``summary.json``.

    With an uncertainty also ``uncertainty_<REGION>.nii.gz``, the predictive entropy in bits.

    Parameters
    ----------
    folder : pathlib.Path
        Exists and can be written to.
    case : Case
        Gives the grid: that of its reference modality's file.
    segmentation : Segmentation
        What is written.
    monitor : Monitor
        Told before each file.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    volumes = {"segmentation": segmentation.label_map} | {
        f"probability_{name}": values for name, values in segmentation.probabilities.items()
    }
    if segmentation.uncertainty is not None:
        found = segmentation.uncertainty.entropy
        volumes |= {f"uncertainty_{name}": values for name, values in found.items()}
    paths = []
    for done, (name, values) in enumerate(volumes.items()):
        monitor.step("Writing", done, len(volumes))
        paths.append(folder / f"{name}.nii.gz")
        write_on_native_grid(paths[-1], values, case)
    return [*paths, write_summary(folder, case, segmentation)]


def write_explanation(
    folder: Path, case: Case, explanation: Explanation, monitor: Monitor
) -> list[Path]:
    """Write ``complementary_<PRIMARY>_<REGION>_<AUX>.nii.gz`` and ``weights.csv``.

    Parameters and return value are as in `write_segmentation`.
    """
    paths = []
    for done, ((pair, auxiliary), values) in enumerate(explanation.maps.items()):
        monitor.step("Writing", done, len(explanation.maps))
        name = f"complementary_{pair.primary}_{pair.region}_{auxiliary}.nii.gz"
        paths.append(folder / name)
        write_on_native_grid(paths[-1], values, case)
    return [*paths, write_text(folder / "weights.csv", weights_csv(explanation))]


def write_summary(folder: Path, case: Case, segmentation: Segmentation) -> Path:
    """Write ``summary.json``."""
    return write_json(folder / "summary.json", summary(case, segmentation))


def summary(case: Case, segmentation: Segmentation) -> dict[str, object]:
    """Return what ``summary.json`` holds."""
    plan = segmentation.plan
    return {
        "checkpoint_sha256": segmentation.checkpoint,
        "decomposition": plan.decomposition.model_dump(mode="json"),
        "muted": sorted(f"{m.primary}:{m.auxiliary}" for m in plan.muted),
        "pairs": [f"{pair.primary}:{pair.region}" for pair in plan.pairs],
        "missing_modalities": list(segmentation.missing),
        "reference_modality": case.reference,
        "grid": case.native.describe(),
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
