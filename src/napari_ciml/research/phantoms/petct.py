"""PET/CT phantom: neck and chest made of ellipsoids, with physiological uptake and lesions."""

import numpy as np

from napari_ciml.research.phantoms.fields import Shape, blur, grid_points, rough_field

_EXTENT_MM = (192.0, 160.0, 224.0)
_AIR, _LUNG, _FAT, _MUSCLE, _BONE = -1000.0, -780.0, -90.0, 45.0, 550.0
_PET_SIGMA_MM = 2.6


def make(rng: np.random.Generator, spacing: float) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return CT (HU) and PET (SUV), each (Z, Y, X) float32, and the label map, (Z, Y, X) uint8."""
    z, y, x = (round(mm / spacing) for mm in _EXTENT_MM)
    shape: Shape = (z, y, x)
    points = grid_points(shape) * spacing
    body = _Body(rng, points, spacing)
    lesions = body.lesions(int(rng.integers(1, 6)))
    ct = np.where(lesions, rng.uniform(20, 70), body.hounsfield())
    pet = body.uptake()
    for lesion in body.components(lesions):
        pet = np.where(lesion, rng.uniform(3, 15), pet)
    noisy_ct = blur(ct, 0.6 / spacing) + rng.normal(0, rng.uniform(8, 25), shape)
    blurred = blur(pet, _PET_SIGMA_MM / spacing)
    noise = blur(rng.standard_normal(shape), 1.5 / spacing)
    noisy_pet = np.clip(blurred + 0.25 * np.sqrt(np.clip(blurred, 0, None)) * noise, 0, None)
    images = {"PET": noisy_pet.astype(np.float32), "CT": noisy_ct.astype(np.float32)}
    return images, lesions.astype(np.uint8)


class _Body:
    """Masks of one random body, with organs of physiological uptake."""

    def __init__(self, rng: np.random.Generator, points: np.ndarray, spacing: float) -> None:
        self.rng, self.points, self.spacing = rng, points, spacing
        depth, height, width = _EXTENT_MM
        middle = (depth / 2, height / 2, width / 2)
        rough = 2 * rough_field(rng, points.shape[1:], 30 / spacing)
        self.rough = rough
        self.body = self._tube(middle, rng.uniform(62, 74), rng.uniform(88, 104), rough)
        self.muscle = self._tube(middle, rng.uniform(50, 58), rng.uniform(72, 84), rough)
        self.lungs = [self._ball((35, 74, width / 2 + side * 42), (62, 34, 27)) for side in (-1, 1)]
        self.spine = self._tube((0, height / 2 + 34, width / 2), 12, 12, 0 * rough)
        self.airway = self._tube((0, height / 2 - 12, width / 2), 7, 8, 0 * rough)
        self.heart = self._ball((22, 70, width / 2 + 16), (26, 24, 26))
        self.glands = [self._ball((165, 84, width / 2 + side * 38), (10, 9, 8)) for side in (-1, 1)]

    def hounsfield(self) -> np.ndarray:
        """Return the CT in HU, without noise."""
        ct = np.full(self.body.shape, _AIR)
        ct[self.body] = _FAT
        ct[self.muscle] = _MUSCLE + 8 * self.rough[self.muscle]
        for lung in self.lungs:
            ct[lung] = _LUNG
        ct[self.heart] = _MUSCLE
        for gland in self.glands:
            ct[gland] = 20
        ct[self.spine] = _BONE
        ct[self.airway] = _AIR
        return ct

    def uptake(self) -> np.ndarray:
        """Return the PET in SUV without lesions and blur; heart and glands are bright."""
        pet = np.where(self.body, 0.35, 0.0)
        pet[self.muscle] = 0.7
        for lung in self.lungs:
            pet[lung] = 0.4
        pet[self.heart] = self.rng.uniform(1.5, 9)
        for gland in self.glands:
            pet[gland] = self.rng.uniform(2, 6)
        pet[self.spine] = 1.2
        pet[self.airway] = 0.1
        return pet

    def lesions(self, count: int) -> np.ndarray:
        """Place lesions in soft tissue and lung, away from organs with physiological uptake."""
        organs = self.heart | self.spine | self.airway | self.glands[0] | self.glands[1]
        inner = self.muscle & ~(blur(organs, 6 / self.spacing) > 0.02)
        candidates = np.argwhere(inner)
        mask = np.zeros(self.body.shape, bool)
        for _ in range(count):
            centre = candidates[self.rng.integers(len(candidates))] * self.spacing
            radius = self.rng.uniform(5, 14)
            ball = self._ball(tuple(centre), tuple(radius * self.rng.uniform(0.75, 1.25, 3)))
            mask |= ball & inner
        return mask

    @staticmethod
    def components(mask: np.ndarray) -> list[np.ndarray]:
        """Return each connected component of a mask."""
        from scipy import ndimage

        labelled, count = ndimage.label(mask)
        return [labelled == k for k in range(1, count + 1)]

    def _tube(
        self, centre: tuple[float, float, float], a: float, b: float, rough: np.ndarray
    ) -> np.ndarray:
        y, x = self.points[1] - centre[1], self.points[2] - centre[2]
        return np.sqrt((y / a) ** 2 + (x / b) ** 2) + 0.02 * rough < 1

    def _ball(self, centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
        z, y, x = ((axis - c) / r for axis, c, r in zip(self.points, centre, radii, strict=True))
        return np.sqrt(z**2 + y**2 + x**2) + 0.06 * self.rough < 1
