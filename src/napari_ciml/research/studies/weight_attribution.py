"""Study ``attribution``: whether the one modality that shows a region has the largest weight.

Tests eq. 16 against a known answer, which the paper's Fig. 14 cannot: in these phantoms only one
auxiliary modality shows the border of the region.
"""

from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.explain import explain
from napari_ciml.files import ensure_writable_folder, write_table
from napari_ciml.inference.segment import segment
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research import TABLES
from napari_ciml.research.phantoms.contrast import ExclusiveModality
from napari_ciml.research.phantoms.phantom import make_phantom

TABLE = "attribution.csv"

QUERIES = (
    (Pair("T2", "WT"), "FLAIR"),
    (Pair("FLAIR", "WT"), "T2"),
    (Pair("T1", "TC"), "T1CE"),
    (Pair("T2", "TC"), "T1CE"),
)
"""Pairs to explain, and the auxiliary that alone shows the region."""

_CASES, _FIRST_SEED = 100, 500_000


def measure_attribution(
    checkpoint: Checkpoint, output: Path, monitor: ProgressMonitor, cases: int = _CASES
) -> Path:
    """Explain phantoms in which only one auxiliary modality shows a region's border.

    The combinations in `QUERIES` take turns. A row of the table is a case: the pair, the exclusive
    modality, the auxiliary with the largest weight, and all weights (eq. 16).

    Raises
    ------
    InputError
        If the table cannot be written.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    folder = ensure_writable_folder(output / TABLES)
    rows: list[dict[str, object]] = []
    seed = _FIRST_SEED
    while len(rows) < cases:
        monitor.step("Explaining phantoms", len(rows), cases)
        pair, exclusive = QUERIES[len(rows) % len(QUERIES)]
        weights = _weights(checkpoint, pair, exclusive, seed, monitor)
        seed += 1
        if not weights:
            continue
        rows.append(
            {
                "seed": seed - 1,
                "primary": pair.primary,
                "region": pair.region,
                "exclusive": exclusive,
                "largest": max(weights, key=lambda name: weights[name]),
                **{f"weight_{name}": f"{value:.4f}" for name, value in weights.items()},
            }
        )
    names = list(dict.fromkeys(key for row in rows for key in row))
    return write_table(folder / TABLE, [{n: row.get(n, "") for n in names} for row in rows])


def _weights(
    checkpoint: Checkpoint, pair: Pair, exclusive: str, seed: int, monitor: ProgressMonitor
) -> dict[str, float]:
    """Return the pair's weights by auxiliary; none if the region is too small in the phantom."""
    exclusive_modality = ExclusiveModality(pair.region, exclusive)
    phantom = make_phantom("glioma", seed, exclusive=exclusive_modality)
    decomposition = checkpoint.info.decomposition
    mask = np.isin(phantom.labels, decomposition.region(pair.region).labels)
    if mask.sum() * phantom.grid.voxel_ml < 1:
        return {}
    grid = phantom.grid
    case = Case("phantom", phantom.images, grid, decomposition.modalities[0], grid, {})
    segmentation = segment(case, checkpoint, monitor=ProgressMonitor(stop=monitor.stop))
    explanation = explain(case, checkpoint, segmentation, ProgressMonitor(stop=monitor.stop))
    weights = {
        auxiliary: explanation.weights[pair, auxiliary]
        for auxiliary in decomposition.subtask(pair.primary).auxiliaries
    }
    return weights if np.isfinite(list(weights.values())).all() else {}
