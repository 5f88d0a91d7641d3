"""A motion of the world: rigid, or affine; what registration finds and resampling takes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class AffineTransform:
    """Takes points (x, y, z) in LPS mm to ``matrix @ point + offset``.

    Parameters
    ----------
    matrix : tuple of float
        3 x 3, row by row.
    offset : tuple of float
        In mm.
    """

    matrix: tuple[float, ...] = _IDENTITY
    offset: tuple[float, ...] = (0.0, 0.0, 0.0)

    @classmethod
    def of(cls, matrix: np.ndarray, offset: np.ndarray) -> Self:
        """Return the motion of a (3, 3) matrix and a (3,) offset in mm."""
        return cls(tuple(np.ravel(matrix).tolist()), tuple(np.ravel(offset).tolist()))

    @classmethod
    def about(cls, centre: np.ndarray, matrix: np.ndarray, shift: np.ndarray) -> Self:
        """Return the motion that turns about a point (x, y, z) in mm, then shifts."""
        return cls.of(matrix, centre + shift - matrix @ centre)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Return where points go, (..., 3) in mm."""
        return points @ self._matrix.T + np.asarray(self.offset)

    def inverse(self) -> "AffineTransform":
        """Return the motion back."""
        back = np.linalg.inv(self._matrix)
        return AffineTransform.of(back, -back @ np.asarray(self.offset))

    def compose(self, other: "AffineTransform") -> "AffineTransform":
        """Return the motion that does this one first, then another."""
        turned = np.reshape(other.matrix, (3, 3))
        return AffineTransform.of(
            turned @ self._matrix, turned @ np.asarray(self.offset) + np.asarray(other.offset)
        )

    def to_sitk(self) -> "sitk.AffineTransform":
        """Return it for SimpleITK."""
        import SimpleITK as sitk

        return sitk.AffineTransform(self.matrix, self.offset)

    def displacements_mm(self, points: np.ndarray) -> np.ndarray:
        """Return how far each of some points, (..., 3), is moved, in mm."""
        return np.linalg.norm(self.points(points) - points, axis=-1)

    @property
    def rotation_degrees(self) -> float:
        """The angle by which it turns."""
        left, _, right = np.linalg.svd(self._matrix)
        cosine = (np.trace(left @ right) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    @property
    def _matrix(self) -> np.ndarray:
        return np.reshape(self.matrix, (3, 3))
