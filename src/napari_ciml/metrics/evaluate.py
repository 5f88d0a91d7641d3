"""Compare two label maps in files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_ciml.cases.geometry import resample
from napari_ciml.cases.labels import matching_conventions, region_masks
from napari_ciml.cases.writing import read_labels
from napari_ciml.decomposition.model import Region
from napari_ciml.errors import InputError
from napari_ciml.metrics.agreement import RegionScore, compare
from napari_ciml.progress import ProgressMonitor


def evaluate(
    prediction: Path,
    reference: Path,
    regions: Sequence[Region],
    monitor: ProgressMonitor | None = None,
) -> tuple[RegionScore, ...]:
    """Compare two label maps, region by region, on the grid of the reference.

    Parameters
    ----------
    prediction, reference : pathlib.Path
        Label maps.
    regions : sequence of Region
        Regions to compare.
    monitor : ProgressMonitor, optional
        Notified if the grids differ, and at each region.

    Raises
    ------
    InputError
        If one cannot be read or has a label of no region, or if they do not overlap.
    """
    labels, grid = read_labels(prediction)
    truth, target = read_labels(reference)
    for path, values in ((prediction, labels), (reference, truth)):
        _require_known_labels(path, np.flatnonzero(np.bincount(values.ravel())), regions)
    if not grid.overlaps(target):
        raise InputError(
            f"{prediction} and {reference} do not overlap; they are of two examinations."
        )
    if monitor is not None and not grid.is_close(target):
        monitor.notify(
            f"The prediction ({grid.describe()}) was resampled to the grid of the reference "
            f"({target.describe()}) by nearest neighbour."
        )
    predicted = region_masks(resample(labels, grid, target, labels=True), regions)
    return compare(predicted, region_masks(truth, regions), target, monitor)


def _require_known_labels(path: Path, values: np.ndarray, regions: Sequence[Region]) -> None:
    known = {label for region in regions for label in region.labels}
    unknown = sorted(set(values.tolist()) - known - {0})
    if not unknown:
        return
    conventions = matching_conventions(values.tolist())
    advice = f" ({' or '.join(conventions)} do)" if conventions else ""
    raise InputError(
        f"{path}: the chosen regions do not define the label {unknown[0]}{advice}; "
        "choose other --regions."
    )
