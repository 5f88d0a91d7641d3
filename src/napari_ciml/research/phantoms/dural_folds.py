"""Falx, tentorium and dural venous sinuses, derived from the parts of a brain.

A fold is the surface halfway between two adjacent parts; a sinus lies where a fold meets the
skull, and where two folds meet.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_ciml.research.phantoms.fields import blur

_SHEET_MM = 1.2
"""Half the thickness of the sheet between two parts that contains a fold."""

_DURA_MM = 1.0
"""Thickness of the dura."""

_NEAR_MM = 9.0
"""Maximum distance of a fold from the brain on either side."""

_SINUS_MM = 7.0
"""Depth of a sinus from the skull inwards."""

_WIDTH_MM = 4.5
"""Half the width of a sinus along the skull."""

_STRAIGHT_MM = 2.5
"""Half the width of the straight sinus."""

_SIGMOID_MM = 9.0
"""Half the length, from front to back, over which the sigmoid sinus runs down."""


@dataclass(frozen=True)
class Surroundings:
    """Distance maps to the parts of a brain, each (Z, Y, X) float32 in mm.

    Parameters
    ----------
    left, right, cerebellum : numpy.ndarray
        Distance to the cerebral hemispheres and the cerebellum.
    skull : numpy.ndarray
        Distance to the outside of the cranial cavity.
    free : numpy.ndarray
        Mask of the cavity outside all parts, bool.
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
        """Compute distances to the masks ``left``, ``right``, ``cerebellum`` and ``stem``."""

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
        """Distance to the closer hemisphere."""
        return np.minimum(self.left, self.right)


def dural_structures(surroundings: Surroundings) -> dict[str, np.ndarray]:
    """Return the fractions of ``dura`` and ``sinus`` in every voxel, (Z, Y, X) float32 in [0, 1].

    The dura consists of falx, tentorium and the lining of the skull; sinuses replace it.
    """
    sinus = np.logical_or.reduce(
        [sagittal_sinus(surroundings), transverse_sinus(surroundings), straight_sinus(surroundings)]
    )
    sinus |= sigmoid_sinus(surroundings)
    lining = surroundings.free & (surroundings.skull <= max(1.5, surroundings.spacing))
    dura = falx(surroundings) | tentorium(surroundings) | lining
    sinuses = np.clip(1.3 * blur(sinus, 0.6), 0, 1) * surroundings.free
    thin = blur(dura, 0.4) * min(1.0, _DURA_MM / surroundings.spacing)
    return {"sinus": sinuses, "dura": np.clip(thin, 0, 1 - sinuses)}


def falx(surroundings: Surroundings) -> np.ndarray:
    """Return the mask of the fold between the hemispheres."""
    between = np.abs(surroundings.left - surroundings.right) < 2 * _SHEET_MM
    near = np.maximum(surroundings.left, surroundings.right) < _NEAR_MM
    return surroundings.free & between & near & (surroundings.cerebellum > surroundings.cerebrum)


def tentorium(surroundings: Surroundings) -> np.ndarray:
    """Return the mask of the fold between cerebrum and cerebellum."""
    between = np.abs(surroundings.cerebrum - surroundings.cerebellum) < 2 * _SHEET_MM
    return surroundings.free & between & (surroundings.cerebellum < _NEAR_MM)


def sagittal_sinus(surroundings: Surroundings) -> np.ndarray:
    """Return the mask of the superior sagittal sinus: falx and skull, above the base."""
    between = np.abs(surroundings.left - surroundings.right) < _WIDTH_MM
    near = np.maximum(surroundings.left, surroundings.right) < 2 * _NEAR_MM
    z = np.arange(surroundings.free.shape[0])[:, None, None]
    y = np.arange(surroundings.free.shape[1])[None, :, None]
    high = (z - surroundings.stem[0]) * surroundings.spacing > 45
    behind = (y - surroundings.stem[1]) * surroundings.spacing > 15
    return surroundings.free & between & near & (surroundings.skull < _SINUS_MM) & (high | behind)


def transverse_sinus(surroundings: Surroundings) -> np.ndarray:
    """Return the mask of both transverse sinuses and the torcula: tentorium and skull."""
    between = np.abs(surroundings.cerebrum - surroundings.cerebellum) < _WIDTH_MM
    near = np.maximum(surroundings.cerebrum, surroundings.cerebellum) < 1.5 * _NEAR_MM
    return (
        surroundings.free
        & between
        & near
        & (surroundings.skull < _SINUS_MM)
        & _behind(surroundings, 0)
    )


def straight_sinus(surroundings: Surroundings) -> np.ndarray:
    """Return the mask of the straight sinus, where falx and tentorium meet."""
    sides = np.abs(surroundings.left - surroundings.right) < 2 * _STRAIGHT_MM
    levels = np.abs(surroundings.cerebrum - surroundings.cerebellum) < 2 * _STRAIGHT_MM
    near = np.maximum(surroundings.cerebrum, surroundings.cerebellum) < _NEAR_MM
    return surroundings.free & sides & levels & near & _behind(surroundings, 10)


def sigmoid_sinus(surroundings: Surroundings) -> np.ndarray:
    """Return the mask of both sigmoid sinuses, descending lateral to the cerebellum."""
    z, y, x = np.indices(surroundings.free.shape, np.float32)
    lateral = np.abs(x - surroundings.stem[2]) * surroundings.spacing > 28
    back = (y - surroundings.stem[1]) * surroundings.spacing
    run = np.abs(back - 12) < _SIGMOID_MM
    below = surroundings.cerebellum < surroundings.cerebrum
    near = surroundings.cerebellum < _NEAR_MM
    low = (z - surroundings.stem[0]) * surroundings.spacing > -30
    return (
        surroundings.free
        & lateral
        & run
        & below
        & near
        & low
        & (surroundings.skull < _SINUS_MM - 1)
    )


def _behind(surroundings: Surroundings, mm: float) -> np.ndarray:
    """Return a mask of all more than ``mm`` posterior to the brain stem, broadcastable."""
    y = np.arange(surroundings.free.shape[1])[None, :, None]
    return np.asarray((y - surroundings.stem[1]) * surroundings.spacing > mm)
