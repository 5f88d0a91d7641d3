"""Sets of two images, a triangle and an ellipse that overlap; the task is their union."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

EDGE = 64
Primary = Literal["triangle", "ellipse"]


@dataclass(frozen=True)
class Shapes:
    """Sets of images.

    Parameters
    ----------
    primary, auxiliary : numpy.ndarray
        Where the shape is, (N, 64, 64) bool; the images are these, as 0 and 1.
    """

    primary: np.ndarray
    auxiliary: np.ndarray

    @property
    def union(self) -> np.ndarray:
        """What is to be segmented, (N, 64, 64) bool."""
        return self.primary | self.auxiliary

    def parts(self) -> dict[str, np.ndarray]:
        """Return the four parts that share the information between them, each (N, 64, 64) bool."""
        return {
            "auxiliary only": self.auxiliary & ~self.primary,
            "overlap": self.auxiliary & self.primary,
            "primary only": self.primary & ~self.auxiliary,
            "background": ~self.union,
        }


def make_shapes(count: int, seed: int, primary: Primary = "ellipse") -> Shapes:
    """Draw sets; in each one the shapes share between 5 and 40 % of the smaller one.

    Parameters
    ----------
    count : int
        How many sets.
    seed : int
        Of everything random.
    primary : {"ellipse", "triangle"}
        Which shape the primary modality shows.
    """
    rng = np.random.default_rng((seed, EDGE))
    triangles, ellipses = zip(*(_overlapping(rng) for _ in range(count)), strict=True)
    one, other = np.stack(triangles), np.stack(ellipses)
    return Shapes(one, other) if primary == "triangle" else Shapes(other, one)


def _overlapping(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    while True:
        triangle, ellipse = _triangle(rng), _ellipse(rng)
        smaller = min(triangle.sum(), ellipse.sum())
        if smaller > 80 and 0.05 < (triangle & ellipse).sum() / smaller < 0.4:
            return triangle, ellipse


def _triangle(rng: np.random.Generator) -> np.ndarray:
    from skimage.draw import polygon2mask

    centre = rng.uniform(18, EDGE - 18, 2)
    angles = rng.uniform(0, 2 * np.pi) + np.array([0, 2, 4]) * np.pi / 3 + rng.uniform(-0.4, 0.4, 3)
    corners = centre + rng.uniform(9, 16, (3, 1)) * np.stack([np.sin(angles), np.cos(angles)], 1)
    return np.asarray(polygon2mask((EDGE, EDGE), corners))


def _ellipse(rng: np.random.Generator) -> np.ndarray:
    from skimage.draw import ellipse

    mask = np.zeros((EDGE, EDGE), bool)
    row, column = rng.uniform(18, EDGE - 18, 2)
    a, b = rng.uniform(5, 13, 2)
    mask[ellipse(row, column, a, b, mask.shape, rng.uniform(0, np.pi))] = True
    return mask
