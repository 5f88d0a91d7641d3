"""Falx, tentorium and the venous sinuses along them, found between the parts of a brain.

A fold lies half way between two parts that are near each other; a sinus runs where a fold meets
the skull, and where two folds meet.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_ciml.research.phantoms.fields import blur

_SHEET_MM = 1.2
"""How far from the middle between two parts a fold is looked for."""

_DURA_MM = 1.0
"""Thickness of dura."""

_NEAR_MM = 9.0
"""A fold has brain on both sides within this distance."""

_SINUS_MM = 7.0
"""How far a sinus reaches inwards from the skull."""

_WIDTH_MM = 4.5
"""Half the width of a sinus along the skull."""

_STRAIGHT_MM = 2.5
"""Half the width of the straight sinus."""

_SIGMOID_MM = 9.0
"""Half the length, from front to back, over which the sigmoid sinus runs down."""


@dataclass(frozen=True)
class Surroundings:
    """Distances to the parts of a brain, each (Z, Y, X) float32 in mm.

    Parameters
    ----------
    left, right, cerebellum : numpy.ndarray
        To the cerebral hemispheres and the cerebellum.
    skull : numpy.ndarray
        To what lies outside the cranial cavity.
    free : numpy.ndarray
        Where none of the parts is, inside the cavity, bool.
    stem : numpy.ndarray
        Centre of the brain stem, (3,) in voxels.
    spacing : float
        Voxel size in mm.
    """

    left: np.ndarray
    right: np.ndarray
    cerebellum: np.ndarray
    skull: np.ndarray
    free: np.ndarray
    stem: np.ndarray
    spacing: float

    @classmethod
    def of(
        cls, parts: Mapping[str, np.ndarray], cavity: np.ndarray, spacing: float
    ) -> "Surroundings":
        """Measure distances to ``left``, ``right``, ``cerebellum`` and ``stem``, each a mask."""

        def to(mask: np.ndarray) -> np.ndarray:
            return (ndimage.distance_transform_edt(~mask) * spacing).astype(np.float32)

        free = cavity & ~np.logical_or.reduce(list(parts.values()))
        stem = np.argwhere(parts["stem"]).mean(axis=0)
        return cls(
            to(parts["left"]),
            to(parts["right"]),
            to(parts["cerebellum"]),
            to(~cavity),
            free,
            stem,
            spacing,
        )

    @property
    def cerebrum(self) -> np.ndarray:
        """Distance to the nearer hemisphere."""
        return np.minimum(self.left, self.right)


def dural_structures(around: Surroundings) -> dict[str, np.ndarray]:
    """Return the shares of ``dura`` and ``sinus`` in every voxel, (Z, Y, X) float32 in [0, 1].

    Dura is falx, tentorium and the lining of the skull; a sinus takes its place.
    """
    sinus = np.logical_or.reduce(
        [sagittal_sinus(around), transverse_sinus(around), straight_sinus(around)]
    )
    sinus |= sigmoid_sinus(around)
    lining = around.free & (around.skull <= max(1.5, around.spacing))
    dura = falx(around) | tentorium(around) | lining
    sinuses = np.clip(1.3 * blur(sinus, 0.6), 0, 1) * around.free
    thin = blur(dura, 0.4) * min(1.0, _DURA_MM / around.spacing)
    return {"sinus": sinuses, "dura": np.clip(thin, 0, 1 - sinuses)}


def falx(around: Surroundings) -> np.ndarray:
    """Return the mask of the fold between the hemispheres."""
    between = np.abs(around.left - around.right) < 2 * _SHEET_MM
    near = np.maximum(around.left, around.right) < _NEAR_MM
    return around.free & between & near & (around.cerebellum > around.cerebrum)


def tentorium(around: Surroundings) -> np.ndarray:
    """Return the mask of the fold between cerebrum and cerebellum."""
    between = np.abs(around.cerebrum - around.cerebellum) < 2 * _SHEET_MM
    return around.free & between & (around.cerebellum < _NEAR_MM)


def sagittal_sinus(around: Surroundings) -> np.ndarray:
    """Return the mask of the superior sagittal sinus: falx and skull, above the base."""
    between = np.abs(around.left - around.right) < _WIDTH_MM
    near = np.maximum(around.left, around.right) < 2 * _NEAR_MM
    z = np.arange(around.free.shape[0])[:, None, None]
    y = np.arange(around.free.shape[1])[None, :, None]
    high = (z - around.stem[0]) * around.spacing > 45
    behind = (y - around.stem[1]) * around.spacing > 15
    return around.free & between & near & (around.skull < _SINUS_MM) & (high | behind)


def transverse_sinus(around: Surroundings) -> np.ndarray:
    """Return the mask of both transverse sinuses and the torcula: tentorium and skull."""
    between = np.abs(around.cerebrum - around.cerebellum) < _WIDTH_MM
    near = np.maximum(around.cerebrum, around.cerebellum) < 1.5 * _NEAR_MM
    return around.free & between & near & (around.skull < _SINUS_MM) & _behind(around, 0)


def straight_sinus(around: Surroundings) -> np.ndarray:
    """Return the mask of the straight sinus, where falx and tentorium meet."""
    sides = np.abs(around.left - around.right) < 2 * _STRAIGHT_MM
    levels = np.abs(around.cerebrum - around.cerebellum) < 2 * _STRAIGHT_MM
    near = np.maximum(around.cerebrum, around.cerebellum) < _NEAR_MM
    return around.free & sides & levels & near & _behind(around, 10)


def sigmoid_sinus(around: Surroundings) -> np.ndarray:
    """Return the mask of both sigmoid sinuses, down along the cerebellum's side."""
    z, y, x = np.indices(around.free.shape, np.float32)
    lateral = np.abs(x - around.stem[2]) * around.spacing > 28
    back = (y - around.stem[1]) * around.spacing
    run = np.abs(back - 12) < _SIGMOID_MM
    below = around.cerebellum < around.cerebrum
    near = around.cerebellum < _NEAR_MM
    low = (z - around.stem[0]) * around.spacing > -30
    return around.free & lateral & run & below & near & low & (around.skull < _SINUS_MM - 1)


def _behind(around: Surroundings, mm: float) -> np.ndarray:
    """Return what lies behind the brain stem by so much, broadcastable to a volume."""
    y = np.arange(around.free.shape[1])[None, :, None]
    return np.asarray((y - around.stem[1]) * around.spacing > mm)
