"""What changed between two label maps: voxels, millilitres, Dice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.reference import Reference
from napari_ciml.decomposition.model import Region
from napari_ciml.inference.result import Segmentation
from napari_ciml.metrics import dice
from napari_ciml.session.request import describe_changes
from napari_ciml.session.runs import Run, request_of

ADDED, REMOVED = 1, 2
"""Values of the voxels that changed."""

ALL = "all regions"


@dataclass(frozen=True)
class RegionChange:
    """How a region changed.

    Parameters
    ----------
    before_ml, after_ml : float
        Its volume in millilitres.
    dice : float
        Agreement of the two.
    to_reference : tuple of (float, float), optional
        Dice against a reference, before and after.
    """

    before_ml: float
    after_ml: float
    dice: float
    to_reference: tuple[float, float] | None = None

    @property
    def ml(self) -> float:
        """By how many millilitres it grew."""
        return self.after_ml - self.before_ml


@dataclass(frozen=True, eq=False)
class LabelMapDiff:
    """What an edit changed.

    Parameters
    ----------
    cause : str
        The edit, in words.
    against : str
        The name of the run before.
    regions : dict of str to RegionChange
        By region that both runs have.
    voxels : dict of str to numpy.ndarray
        By region, and under `ALL` for all of them, (Z, Y, X) uint8 of `ADDED` and `REMOVED`.
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
    words: tuple[str, str],
    reference: Mapping[str, np.ndarray] | None = None,
) -> LabelMapDiff:
    """Compare a label map with the one before it.

    Parameters
    ----------
    before, after : numpy.ndarray
        Label maps, (Z, Y, X) unsigned integers.
    regions : tuple of two sequences of Region
        What their values mean.
    voxel_ml : float
        Volume of a voxel in millilitres.
    words : tuple of str
        The edit, and the name of the run before.
    reference : mapping of str to numpy.ndarray, optional
        Masks of a reference by region, (Z, Y, X) bool.
    """
    old, new = region_masks(before, regions[0]), region_masks(after, regions[1])
    names = [name for name in new if name in old]
    everything = np.zeros(after.shape, np.uint8)
    found, voxels = {}, {}
    for name in names:
        a, b = old[name], new[name]
        known = reference.get(name) if reference else None
        found[name] = RegionChange(
            before_ml=float(np.count_nonzero(a) * voxel_ml),
            after_ml=float(np.count_nonzero(b) * voxel_ml),
            dice=dice(a, b),
            to_reference=None if known is None else (dice(a, known), dice(b, known)),
        )
        voxels[name] = (b & ~a) * np.uint8(ADDED) + (a & ~b) * np.uint8(REMOVED)
        np.copyto(everything, REMOVED, where=(voxels[name] == REMOVED) & (everything == 0))
        np.copyto(everything, ADDED, where=voxels[name] == ADDED)
    return LabelMapDiff(words[0], words[1], found, {ALL: everything, **voxels})


def diff_runs(
    before: Run | None, after: Segmentation, case: Case, reference: Reference | None = None
) -> LabelMapDiff | None:
    """Say what a segmentation changed since a run of the same case; None if nothing was edited.

    Parameters
    ----------
    before : Run or None
        The run before, if there was one.
    after : Segmentation
        Of the case.
    case : Case
        Gives the grid.
    reference : Reference, optional
        Both are measured against it, too.
    """
    if before is None:
        return None
    old = before.segmentation
    words = list(describe_changes(before.request, request_of(after)))
    if old.checkpoint != after.checkpoint:
        words.append("another checkpoint")
    if not words:
        return None
    regions = (old.plan.decomposition.regions, after.plan.decomposition.regions)
    text = ("; ".join(words), before.name)
    labels = (np.asarray(old.label_map), np.asarray(after.label_map))
    truth = region_masks(reference.labels, reference.regions) if reference is not None else None
    return diff_label_maps(*labels, regions, case.grid.voxel_ml, text, truth)
