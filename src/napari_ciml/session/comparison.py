"""Differences between two label maps: of a run and the run before, or against a reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.reference import Reference
from napari_ciml.decomposition.model import Region
from napari_ciml.inference.result import Segmentation
from napari_ciml.metrics.agreement import (
    ADDED,
    AGREED,
    MISSED,
    RegionScore,
    compare,
    dice,
    difference,
)
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.request import describe_changes
from napari_ciml.session.runs import Run, request_of

__all__ = [
    "ADDED",
    "ALL",
    "REMOVED",
    "Comparison",
    "LabelMapDiff",
    "RegionChange",
    "diff_label_maps",
    "diff_runs",
]

REMOVED = MISSED
"""Value of voxels that only the label map before has."""

ALL = "all regions"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Agreement of a label map with a reference.

    Parameters
    ----------
    reference : Reference
        The label map it is compared with.
    scores : tuple of RegionScore
        Agreement by region.
    differences : dict of str to numpy.ndarray
        By region, `napari_ciml.metrics.difference` on the case grid.
    """

    reference: Reference
    scores: tuple[RegionScore, ...]
    differences: dict[str, np.ndarray]

    @classmethod
    def compute(
        cls,
        labels: np.ndarray,
        regions: tuple[Region, ...],
        reference: Reference,
        grid: Grid,
        monitor: ProgressMonitor,
    ) -> Self:
        """Compare a label map, (Z, Y, X) on the case grid, with a reference."""
        masks = region_masks(labels, regions)
        reference_masks = region_masks(reference.labels, reference.regions)
        scores = compare(masks, reference_masks, grid, monitor)
        return cls(reference, scores, _differences(masks, reference_masks))


@dataclass(frozen=True)
class RegionChange:
    """Change of a region from one run to the next.

    Parameters
    ----------
    before_ml, after_ml : float
        Volumes in millilitres.
    dice : float
        Dice coefficient of the two.
    to_reference : tuple of (float, float), optional
        Dice coefficients with a reference, before and after.
    """

    before_ml: float
    after_ml: float
    dice: float
    to_reference: tuple[float, float] | None = None

    @property
    def ml(self) -> float:
        """Increase of the volume in millilitres."""
        return self.after_ml - self.before_ml


@dataclass(frozen=True, eq=False)
class LabelMapDiff:
    """Changes from one run to the next.

    Parameters
    ----------
    cause : str
        Description of the edit.
    against : str
        Name of the run before.
    regions : dict of str to RegionChange
        By region that both runs have.
    voxels : dict of str to numpy.ndarray
        By region, and under `ALL` for all of them, (Z, Y, X) uint8: `ADDED`, `REMOVED` or 0.
    """

    cause: str
    against: str
    regions: dict[str, RegionChange]
    voxels: dict[str, np.ndarray]


def diff_label_maps(
    before: np.ndarray,
    after: np.ndarray,
    regions: tuple[Sequence[Region], Sequence[Region]],
    voxel_ml: float,
    names: tuple[str, str],
    reference: Mapping[str, np.ndarray] | None = None,
) -> LabelMapDiff:
    """Compare a label map with the one before it.

    Parameters
    ----------
    before, after : numpy.ndarray
        Label maps, (Z, Y, X) unsigned integers.
    regions : tuple of two sequences of Region
        Label values by region, before and after.
    voxel_ml : float
        Volume of a voxel in millilitres.
    names : tuple of str
        Description of the edit, and name of the run before.
    reference : mapping of str to numpy.ndarray, optional
        Masks of a reference by region, (Z, Y, X) bool.
    """
    old, new = region_masks(before, regions[0]), region_masks(after, regions[1])
    differences = _differences(new, old)
    combined = np.zeros(after.shape, np.uint8)
    changes = {}
    for name, voxels in differences.items():
        truth = reference.get(name) if reference else None
        changes[name] = RegionChange(
            before_ml=float(np.count_nonzero(old[name]) * voxel_ml),
            after_ml=float(np.count_nonzero(new[name]) * voxel_ml),
            dice=dice(old[name], new[name]),
            to_reference=None
            if truth is None
            else (dice(old[name], truth), dice(new[name], truth)),
        )
        voxels[voxels == AGREED] = 0
        np.copyto(combined, REMOVED, where=(voxels == REMOVED) & (combined == 0))
        np.copyto(combined, ADDED, where=voxels == ADDED)
    return LabelMapDiff(names[0], names[1], changes, {ALL: combined, **differences})


def diff_runs(
    before: Run | None, after: Segmentation, case: Case, reference: Reference | None = None
) -> LabelMapDiff | None:
    """Compare a segmentation with the run before it.

    Parameters
    ----------
    before : Run or None
        The run before, if there was one.
    after : Segmentation
        The new segmentation of the same case.
    case : Case
        The case.
    reference : Reference, optional
        Label map with which both are compared, too.

    Returns
    -------
    LabelMapDiff or None
        None if there was no run before, or nothing was edited since.
    """
    if before is None:
        return None
    previous = before.segmentation
    edits = list(describe_changes(before.request, request_of(after)))
    if previous.checkpoint != after.checkpoint:
        edits.append("another checkpoint")
    if not edits:
        return None
    regions = (previous.plan.decomposition.regions, after.plan.decomposition.regions)
    names = ("; ".join(edits), before.name)
    labels = (np.asarray(previous.label_map), np.asarray(after.label_map))
    truth = region_masks(reference.labels, reference.regions) if reference is not None else None
    return diff_label_maps(*labels, regions, case.grid.voxel_ml, names, truth)


def _differences(
    masks: Mapping[str, np.ndarray], baseline: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return `difference` for every region that both label maps have."""
    return {name: difference(masks[name], baseline[name]) for name in masks if name in baseline}
