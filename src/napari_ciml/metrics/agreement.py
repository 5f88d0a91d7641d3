"""Agreement of two segmentations: Dice, Hausdorff and surface distance (section 4.1.2)."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.progress import ProgressMonitor

if TYPE_CHECKING:
    import torch

AGREED, MISSED, ADDED = 1, 2, 3
"""Values of `difference`: in both masks, in the reference only, in the prediction only."""


@dataclass(frozen=True)
class RegionScore:
    """Agreement of one region.

    Parameters
    ----------
    region : str
        Name of the region.
    dice : float
        Eq. 11; 1 if both are empty.
    hd95_mm : float
        95 % Hausdorff distance; 0 if both are empty, NaN if one is.
    surface_distance_mm : float
        Average symmetric surface distance; 0 if both are empty, NaN if one is.
    volume_prediction_ml, volume_reference_ml : float
        Volumes in millilitres.
    """

    region: str
    dice: float
    hd95_mm: float
    surface_distance_mm: float
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
    return _surface_measures(a, b, spacing)[0]


def surface_distance(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """Return the average symmetric surface distance.

    Parameters and return value are as in `hd95`.
    """
    return _surface_measures(a, b, spacing)[1]


def compare(
    prediction: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    grid: Grid,
    monitor: ProgressMonitor | None = None,
) -> tuple[RegionScore, ...]:
    """Compare two segmentations on one grid, region by region.

    Parameters
    ----------
    prediction, reference : mapping of str to numpy.ndarray
        Masks by region, (Z, Y, X) bool; regions that only one of them has are ignored.
    grid : Grid
        Grid of all masks.
    monitor : ProgressMonitor, optional
        Notified at each region.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    monitor = monitor or ProgressMonitor()
    names = [name for name in prediction if name in reference]
    scores = []
    for k, name in enumerate(names):
        monitor.step(f"Comparing {name}", k, len(names))
        a, b = prediction[name], reference[name]
        farthest, average = _surface_measures(a, b, grid.scale)
        scores.append(
            RegionScore(
                region=name,
                dice=dice(a, b),
                hd95_mm=farthest,
                surface_distance_mm=average,
                volume_prediction_ml=float(np.count_nonzero(a) * grid.voxel_ml),
                volume_reference_ml=float(np.count_nonzero(b) * grid.voxel_ml),
            )
        )
    return tuple(scores)


def difference(prediction: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the agreement of two masks per voxel, uint8: `AGREED`, `MISSED`, `ADDED` or 0."""
    result = prediction.astype(np.uint8) * np.uint8(ADDED)
    result[reference] = MISSED
    result[prediction & reference] = AGREED
    return result


def slice_of_largest_difference(values: np.ndarray, axis: int = 0) -> tuple[int, int, int] | None:
    """Return a voxel (z, y, x) that differs, in the slice with most differing voxels.

    It is the one closest to the centre of the difference; None if nothing differs.

    Parameters
    ----------
    values : numpy.ndarray
        Result of `difference`.
    axis : int
        Array axis perpendicular to the slices: 0 for axial ones.
    """
    differs = values > AGREED
    counts = differs.sum(axis=tuple(k for k in range(3) if k != axis))
    if not counts.any():
        return None
    voxels = np.argwhere(differs.take(int(counts.argmax()), axis=axis))
    nearest = voxels[((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    z, y, x = np.insert(nearest, axis, counts.argmax()).tolist()
    return z, y, x


def _surface_measures(
    a: np.ndarray, b: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[float, float]:
    """Return the 95 % Hausdorff and the average symmetric surface distance in mm."""
    if not a.any() or not b.any():
        value = 0.0 if not a.any() and not b.any() else float("nan")
        return value, value
    import torch

    forward, backward = _surface_distances(a, b, spacing)
    farthest = max(float(torch.quantile(part, 0.95)) for part in (forward, backward))
    return farthest, float(torch.cat((forward, backward)).mean())


def _surface_distances(
    a: np.ndarray, b: np.ndarray, spacing: tuple[float, float, float]
) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Return the distances of surface voxels to the other surface, in both directions."""
    import torch
    from monai.metrics.utils import get_edge_surface_distance

    with warnings.catch_warnings():
        # MONAI warns of an argument that it passes itself.
        warnings.filterwarnings("ignore", "monai.metrics.utils", FutureWarning)
        _, distances, _ = get_edge_surface_distance(
            torch.from_numpy(a),
            torch.from_numpy(b),
            spacing=spacing,
            symmetric=True,
        )
    return distances[0], distances[-1]
