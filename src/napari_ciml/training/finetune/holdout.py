"""What of the corrected cases, and of those not to forget, judges versions and teaches nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_ciml.training.cohort import TrainingCase

_THINNEST = 2
"""Voxels that a slab is thick at least; a thinner one is told by its neighbours."""

_OFF = 0.75
"""How far, relative to the share wanted, a region's share of a slab may be from it."""


@dataclass(frozen=True)
class HoldoutSplit:
    """Cases in two.

    Parameters
    ----------
    learnt : list of TrainingCase
        To learn from; where a part is held out, that part is not certain.
    judged : list of TrainingCase
        To judge versions on; where a part is held out, nothing but that part is certain.
    words : str
        What is judged on, for the user.
    held_out : bool
        Whether that teaches nothing.
    """

    train: list[TrainingCase]
    validation: list[TrainingCase]
    words: str
    held_out: bool = True


def hold_out(cases: Sequence[TrainingCase], share: float, seed: int) -> HoldoutSplit:
    """Hold out a share of the cases: whole ones, or else a slab of each.

    Parameters
    ----------
    cases : sequence of TrainingCase
        None, or some.
    share : float
        From 0 to below 1. If it makes no whole case, it is that of each case's regions.
    seed : int
        Which cases.
    """
    cases = list(cases)
    if not cases:
        return HoldoutSplit([], [], "no case", held_out=False)
    count = int(share * len(cases) + 1e-9)
    if count:
        chosen = set(np.random.default_rng(seed).permutation(len(cases))[:count].tolist())
        return HoldoutSplit(
            [case for k, case in enumerate(cases) if k not in chosen],
            [case for k, case in enumerate(cases) if k in chosen],
            _counted(count, "case") + " that taught nothing",
        )
    slabs = [find_slab(case, share) if share else None for case in cases]
    judged = [
        _within(case, slab) for case, slab in zip(cases, slabs, strict=True) if slab is not None
    ]
    if not judged:
        return HoldoutSplit(
            cases, cases, "what it learnt from, no part of which was held out", False
        )
    learnt = [
        case if slab is None else _within(case, ~slab)
        for case, slab in zip(cases, slabs, strict=True)
    ]
    return HoldoutSplit(
        learnt, judged, f"a slab of {_counted(len(judged), 'case')} that taught nothing"
    )


def find_slab(case: TrainingCase, share: float) -> np.ndarray | None:
    """Return the slab of a case, (Z, Y, X) bool, that has about a share of each of its regions.

    It is as thick as the share of what is marked, across any axis. None, if that is too thin or no
    slab leaves enough of every region on either side.
    """
    marked = (
        case.regions
        if case.label_confidence_mask is None
        else case.regions & case.label_confidence_mask
    )
    found: tuple[float, int, slice] = (_OFF * share, 0, slice(0))
    for axis in range(3):
        counts = np.moveaxis(marked, axis + 1, 1).sum(axis=(2, 3))
        there = counts[counts.any(axis=1)]
        if not len(there):
            return None
        ends = np.flatnonzero(there.any(axis=0))
        thick = round(share * int(ends[-1] - ends[0] + 1))
        if thick < _THINNEST:
            continue
        before = np.pad(there.cumsum(axis=1), ((0, 0), (1, 0)))
        shares = (before[:, thick:] - before[:, :-thick]) / before[:, -1:]
        off = np.abs(shares - share).max(axis=0)
        start = int(off.argmin())
        if off[start] < found[0]:
            found = float(off[start]), axis, slice(start, start + thick)
    _, axis, where = found
    if where.stop == 0:
        return None
    slab = np.zeros(marked.shape[1:], bool)
    np.moveaxis(slab, axis, 0)[where] = True
    return slab


def _within(case: TrainingCase, part: np.ndarray) -> TrainingCase:
    """Return a case that is certain, and learnt from, in a part of it alone."""
    certain = part if case.label_confidence_mask is None else case.label_confidence_mask & part
    inside = tuple(voxels[part[tuple(voxels.T)]] for voxels in case.foreground_voxels)
    # Not what lies in a folder any more, so another process must be given all of it.
    return replace(case, foreground_voxels=inside, folder=None, label_confidence_mask=certain)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
