"""Affine transforms of LPS world coordinates, for registration and resampling."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class AffineTransform:
    """Maps points (x, y, z) in LPS mm to ``matrix @ point + offset``.

    Parameters
    ----------
    matrix : tuple of float
        3 x 3, row-major.
    offset : tuple of float
        In mm.
    """

    matrix: tuple[float, ...] = _IDENTITY
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)

    @classmethod
    def of(cls, matrix: np.ndarray, offset: np.ndarray) -> Self:
        """Return the transform with a (3, 3) matrix and a (3,) offset in mm."""
        return cls(tuple(np.ravel(matrix).tolist()), tuple(np.ravel(offset).tolist()))

    @classmethod
    def about(cls, centre: np.ndarray, matrix: np.ndarray, shift: np.ndarray) -> Self:
        """Return the transform that applies a matrix about a centre and shifts; (x, y, z) in mm."""
        return cls.of(matrix, centre + shift - matrix @ centre)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Return the transformed points, (..., 3) in mm."""
        return np.asarray(points @ self._matrix.T + np.asarray(self.offset))

    def inverse(self) -> "AffineTransform":
        """Return the inverse transform."""
        inverse = np.linalg.inv(self._matrix)
        return AffineTransform.of(inverse, -inverse @ np.asarray(self.offset))

    def compose(self, other: "AffineTransform") -> "AffineTransform":
        """Return the transform that applies this one first, then another."""
        matrix = np.reshape(other.matrix, (3, 3))
        return AffineTransform.of(
            matrix @ self._matrix, matrix @ np.asarray(self.offset) + np.asarray(other.offset)
        )

    def to_sitk(self) -> "sitk.AffineTransform":
        """Return the transform as a SimpleITK transform."""
        import SimpleITK as sitk

        return sitk.AffineTransform(self.matrix, self.offset)

    def displacements_mm(self, points: np.ndarray) -> np.ndarray:
        """Return how far each point, (..., 3) in mm, is moved, in mm."""
        displacements: np.ndarray = np.linalg.norm(self.points(points) - points, axis=-1)
        return displacements

    @property
    def rotation_degrees(self) -> float:
        """The rotation angle of the closest rotation."""
        left, _, right = np.linalg.svd(self._matrix)
        cosine = (np.trace(left @ right) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    @property
    def _matrix(self) -> np.ndarray:
        return np.reshape(self.matrix, (3, 3))
