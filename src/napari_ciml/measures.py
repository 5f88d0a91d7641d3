"""How well two segmentations agree (section 4.1.2)."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ciml.cases.geometry import resample
from napari_ciml.cases.labels import conventions_of, region_masks
from napari_ciml.cases.write import read_labels
from napari_ciml.decomposition import Region
from napari_ciml.errors import InputError
from napari_ciml.monitor import Monitor


@dataclass(frozen=True)
class RegionScore:
    """Agreement in one region.

    Parameters
    ----------
    region : str
        Its name.
    dice : float
        Eq. 11; 1 if both are empty.
    hd95_mm : float
        95 % Hausdorff distance; 0 if both are empty, NaN if one is.
    volume_prediction_ml, volume_reference_ml : float
        In millilitres.
    """

    region: str
    dice: float
    hd95_mm: float
    volume_prediction_ml: float
    volume_reference_ml: float


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Dice coefficient of two boolean masks (eq. 11); 1 if both are empty."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / total if total else 1.0


def hd95(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """Return the 95 % Hausdorff distance (eq. 12, the 95th percentile for the supremum).

    Parameters
    ----------
    a, b : numpy.ndarray
        Masks, (Z, Y, X) bool.
    spacing : tuple of float
        Voxel size, (Z, Y, X) in mm.

    Returns
    -------
    float
        In mm; 0 if both are empty, NaN if one is.
    """
    if not a.any() or not b.any():
        return 0.0 if not a.any() and not b.any() else float("nan")
    import torch
    from monai.metrics import compute_hausdorff_distance

    with warnings.catch_warnings():
        # The library warns of an argument that it passes to itself.
        warnings.filterwarnings("ignore", "monai.metrics.utils", FutureWarning)
        distance = compute_hausdorff_distance(
            torch.from_numpy(a)[None, None],
            torch.from_numpy(b)[None, None],
            include_background=True,
            percentile=95,
            spacing=spacing,
        )
    return float(distance)


def evaluate(
    prediction: Path,
    reference: Path,
    regions: Sequence[Region],
    monitor: Monitor | None = None,
) -> tuple[RegionScore, ...]:
    """Compare two label maps, region by region, on the grid of the reference.

    Parameters
    ----------
    prediction, reference : pathlib.Path
        Label maps.
    regions : sequence of Region
        What to compare.
    monitor : Monitor, optional
        Told if the grids differ.

    Raises
    ------
    InputError
        If one cannot be read, has a label that no region knows, or they share no space.
    """
    labels, grid = read_labels(prediction)
    truth, target = read_labels(reference)
    for path, values in ((prediction, labels), (reference, truth)):
        _refuse_unknown(path, np.flatnonzero(np.bincount(values.ravel())), regions)
    if not grid.overlaps(target):
        raise InputError(
            f"{prediction} and {reference} share no space; they are of two examinations."
        )
    if monitor is not None and not grid.same_as(target):
        monitor.tell(
            f"The prediction ({grid.describe()}) was brought onto the reference's grid "
            f"({target.describe()}) by the nearest voxel."
        )
    predicted = region_masks(resample(labels, grid, target, labels=True), regions)
    expected = region_masks(truth, regions)
    return tuple(
        RegionScore(
            region=name,
            dice=dice(predicted[name], expected[name]),
            hd95_mm=hd95(predicted[name], expected[name], target.scale),
            volume_prediction_ml=float(np.count_nonzero(predicted[name]) * target.voxel_ml),
            volume_reference_ml=float(np.count_nonzero(expected[name]) * target.voxel_ml),
        )
        for name in predicted
    )


def _refuse_unknown(path: Path, values: np.ndarray, regions: Sequence[Region]) -> None:
    known = {label for region in regions for label in region.labels}
    unknown = sorted(set(values.tolist()) - known - {0})
    if not unknown:
        return
    fitting = conventions_of(values.tolist())
    advice = f"; {' or '.join(fitting)} would" if fitting else ""
    raise InputError(
        f"{path}: the regions asked for do not explain the label {unknown[0]}{advice}; "
        "choose other --regions."
    )
