"""Pairs of images of a triangle and an ellipse that overlap; the task is to segment the union."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

EDGE = 64
Primary = Literal["triangle", "ellipse"]


@dataclass(frozen=True)
class Shapes:
    """Pairs of images.

    Parameters
    ----------
    primary, auxiliary : numpy.ndarray
        Masks of the shapes, (N, 64, 64) bool; the images are these masks as 0 and 1.
    """

    primary: np.ndarray
    auxiliary: np.ndarray

    @property
    def union(self) -> np.ndarray:
        """Target of the segmentation, (N, 64, 64) bool."""
        return self.primary | self.auxiliary

    def parts(self) -> dict[str, np.ndarray]:
        """Return a partition of the images into four parts, each (N, 64, 64) bool."""
        return {
            "auxiliary only": self.auxiliary & ~self.primary,
            "overlap": self.auxiliary & self.primary,
            "primary only": self.primary & ~self.auxiliary,
            "background": ~self.union,
        }


def make_shapes(count: int, seed: int, primary: Primary = "ellipse") -> Shapes:
    """Draw pairs of shapes that overlap by 5 to 40 % of the smaller one.

    Parameters
    ----------
    count : int
        Number of pairs.
    seed : int
        Seed of everything random.
    primary : {"ellipse", "triangle"}
        Shape in the primary modality.
    """
    rng = np.random.default_rng((seed, EDGE))
    pairs = [_draw_pair(rng) for _ in range(count)]
    triangles, ellipses = (np.stack(masks) for masks in zip(*pairs, strict=True))
    return Shapes(triangles, ellipses) if primary == "triangle" else Shapes(ellipses, triangles)


def _draw_pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
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
