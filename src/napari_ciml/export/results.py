"""The summary of a segmentation and the table of weights.

Neither names the patient: the summary tells modalities and grids, never paths.
"""

import csv
import io
from pathlib import Path

from napari_ciml.cases.case import Case
from napari_ciml.explanation.explain import Explanation
from napari_ciml.export.text import write_json
from napari_ciml.inference.segment import Segmentation

WEIGHT_COLUMNS = ("primary", "region", "auxiliary", "weight")


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
