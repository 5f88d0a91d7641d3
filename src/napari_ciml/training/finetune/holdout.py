"""Split corrected and replay cases into training and validation parts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_ciml.training.cohort import TrainingCase

_MIN_THICKNESS = 2
"""Thinnest slab in voxels; in a thinner one, every voxel has a neighbour that is trained on."""

_MAX_DEVIATION = 0.75
"""Largest deviation of a region's fraction in the slab, relative to the requested fraction."""


@dataclass(frozen=True)
class HoldoutSplit:
    """Cases split into a training and a validation part.

    Parameters
    ----------
    train : list of TrainingCase
        Cases to train on; a slab that is held out has no label confidence.
    validation : list of TrainingCase
        Cases to evaluate on; of a case with a slab, only the slab has label confidence.
    description : str
        Description of the validation part for the user.
    held_out : bool
        False if the validation part is the training part itself.
    """

    train: list[TrainingCase]
    validation: list[TrainingCase]
    description: str
    held_out: bool = True


def hold_out(cases: Sequence[TrainingCase], fraction: float, seed: int) -> HoldoutSplit:
    """Hold out a fraction of the cases: entire cases, or else a slab of each.

    Parameters
    ----------
    cases : sequence of TrainingCase
        Cases to split; there may be none.
    fraction : float
        Fraction in [0, 1). If it amounts to less than one case, a slab with this fraction of the
        regions is held out of every case.
    seed : int
        Seed of the random choice of cases.
    """
    cases = list(cases)
    if not cases:
        return HoldoutSplit([], [], "no case", held_out=False)
    count = int(fraction * len(cases) + 1e-9)
    if count:
        chosen = set(np.random.default_rng(seed).permutation(len(cases))[:count].tolist())
        return HoldoutSplit(
            [case for k, case in enumerate(cases) if k not in chosen],
            [case for k, case in enumerate(cases) if k in chosen],
            f"{count} held-out {_plural('case', count)}",
        )
    slabs = [find_slab(case, fraction) if fraction else None for case in cases]
    pairs = list(zip(cases, slabs, strict=True))
    validation = [_restrict(case, slab) for case, slab in pairs if slab is not None]
    if not validation:
        return HoldoutSplit(cases, cases, "the training cases (none was held out)", held_out=False)
    train = [case if slab is None else _restrict(case, ~slab) for case, slab in pairs]
    count = len(validation)
    return HoldoutSplit(train, validation, f"a held-out slab of {count} {_plural('case', count)}")


def find_slab(case: TrainingCase, fraction: float) -> np.ndarray | None:
    """Return a slab with about the requested fraction of each region of a case.

    The slab may lie across any axis; its thickness is the fraction of the extent of the regions.

    Returns
    -------
    numpy.ndarray or None
        (Z, Y, X) bool. None if the slab would be too thin, or if none leaves enough of every region
        on both sides.
    """
    mask = case.label_confidence_mask
    marked = case.regions if mask is None else case.regions & mask
    best: tuple[float, int, slice] = (_MAX_DEVIATION * fraction, 0, slice(0))
    for axis in range(3):
        counts = np.moveaxis(marked, axis + 1, 1).sum(axis=(2, 3))
        present = counts[counts.any(axis=1)]
        if not len(present):
            return None
        ends = np.flatnonzero(present.any(axis=0))
        thickness = round(fraction * int(ends[-1] - ends[0] + 1))
        if thickness < _MIN_THICKNESS:
            continue
        cumulative = np.pad(present.cumsum(axis=1), ((0, 0), (1, 0)))
        fractions = (cumulative[:, thickness:] - cumulative[:, :-thickness]) / cumulative[:, -1:]
        deviation = np.abs(fractions - fraction).max(axis=0)
        start = int(deviation.argmin())
        if deviation[start] < best[0]:
            best = float(deviation[start]), axis, slice(start, start + thickness)
    _, axis, extent = best
    if extent.stop == 0:
        return None
    slab = np.zeros(marked.shape[1:], bool)
    np.moveaxis(slab, axis, 0)[extent] = True
    return slab


def _restrict(case: TrainingCase, part: np.ndarray) -> TrainingCase:
    """Return a case whose labels count, and whose patches are centred, in a part only."""
    mask = case.label_confidence_mask
    confidence = part if mask is None else mask & part
    voxels = tuple(indices[part[tuple(indices.T)]] for indices in case.foreground_voxels)
    # The folder holds the unrestricted case, so another process must be sent the arrays.
    return replace(case, foreground_voxels=voxels, folder=None, label_confidence_mask=confidence)


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
