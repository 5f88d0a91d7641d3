"""Summary of a segmentation, tables of weights and lesions, label maps on other grids.

None of them identifies the patient: the summary contains modalities and grids, never paths.
"""

import csv
import io
from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import label_map, region_masks
from napari_ciml.cases.writing import resample_to_modality
from napari_ciml.explanation.result import Explanation
from napari_ciml.files import write_json
from napari_ciml.inference.result import Segmentation
from napari_ciml.lesions import Inventory

_BELOW = 1e-4
"""Distance below the threshold that is assigned to voxels removed from a mask."""

WEIGHT_COLUMNS = ("primary", "region", "auxiliary", "weight")


def labels_at(
    modality: str, case: Case, segmentation: Segmentation, labels: np.ndarray
) -> np.ndarray:
    """Return a label map, computed or edited, on a modality's grid.

    Probabilities are resampled and then thresholded: nearest-neighbour resampling of the label map
    would show the steps of both grids. Voxels that were removed from a mask or added to it, by
    postprocessing or manually, remain so.

    Raises
    ------
    InputError
        If the case has no such modality.
    """
    if modality == case.reference:
        return labels
    regions = segmentation.plan.decomposition.regions
    masks = region_masks(labels, regions)
    resampled = {}
    for name, values in segmentation.probabilities.items():
        threshold = np.float32(segmentation.settings.threshold(name))
        consistent = np.minimum(values, threshold - np.float32(_BELOW))
        np.maximum(values, threshold, out=consistent, where=masks[name])
        resampled[name] = resample_to_modality(consistent, case, modality) >= threshold
    return label_map(resampled, regions)


def write_summary(
    folder: Path, case: Case, segmentation: Segmentation, grid: str | None = None
) -> Path:
    """Write ``summary.json``."""
    return write_json(folder / "summary.json", summary(case, segmentation, grid))


def summary(case: Case, segmentation: Segmentation, grid: str | None = None) -> dict[str, object]:
    """Return the content of ``summary.json``."""
    native_grid = case.sources[grid].grid if grid and grid in case.sources else case.native_grid
    plan, uncertainty = segmentation.plan, segmentation.uncertainty
    return {
        "checkpoint_sha256": segmentation.checkpoint,
        "decomposition": plan.decomposition.model_dump(mode="json"),
        "muted": sorted(f"{m.primary}:{m.auxiliary}" for m in plan.muted),
        "pairs": [f"{pair.primary}:{pair.region}" for pair in plan.pairs],
        "missing_modalities": list(segmentation.missing),
        "reference_modality": case.reference,
        "grid_modality": grid or case.reference,
        "grid": native_grid.describe(),
        "aligned": sorted(case.transforms),
        "thresholds": {
            name: segmentation.settings.threshold(name) for name in plan.decomposition.region_names
        },
        "ensemble_weights": {
            f"{pair.primary}:{pair.region}": plan.weight(pair) for pair in plan.pairs
        },
        "samples": segmentation.settings.kappa_samples,
        "seed": segmentation.settings.seed,
        "postprocessed": segmentation.settings.postprocess,
        "engine": segmentation.engine,
        "device": segmentation.device,
        "seconds": segmentation.seconds,
        "peak_memory_mib": round(segmentation.peak_memory_mib, 1),
        "volumes_ml": {name: round(ml, 3) for name, ml in segmentation.volumes_ml.items()},
        "volume_spread_ml": {
            name: round(uncertainty.volume_spread_ml(name), 3) for name in segmentation.volumes_ml
        }
        if uncertainty is not None
        else None,
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


def lesion_rows(inventory: Inventory) -> list[dict[str, object]]:
    """Return the table of lesions, those to review first on top; positions are LPS in mm."""
    return [
        {
            "region": lesion.region,
            **{f"{axis}_mm": round(mm, 1) for axis, mm in zip("xyz", lesion.point, strict=True)},
            "volume_ml": round(lesion.volume_ml, 3),
            "longest_mm": round(lesion.diameters.longest_mm, 1),
            "perpendicular_mm": round(lesion.diameters.perpendicular_mm, 1),
            "product_mm2": round(lesion.diameters.product_mm2, 1),
            "probability": _rounded(lesion.probability),
            "uncertainty_bits": _rounded(lesion.uncertainty),
            "seen_by": "; ".join(f"{n} {share:.2f}" for n, share in lesion.seen_by.items()),
            "reasons": "; ".join(lesion.reasons),
        }
        for lesion in inventory.lesions
    ]


def _rounded(value: float | None) -> float | str:
    return "" if value is None else round(value, 3)
