"""What is done to patches so that a network sees more than its training cases show."""

from typing import Any

import numpy as np
import torch
from monai import transforms
from scipy import ndimage
from torch import Tensor

_LEAST = 500
"""Voxels of foreground without which a modality is left as it is."""


def augmentation(
    masks: tuple[str, ...] = ("regions",), scanners: bool = False
) -> transforms.Compose:
    """Return nnU-Net's default augmentation in MONAI's transforms: space, noise, intensity.

    Parameters
    ----------
    masks : tuple of str
        Entries that move with the image, and whose values are kept.
    scanners : bool
        Show each modality as other scanners might, too (`RandScannerAppearance`).
    """
    both, nearest = ("image", *masks), ("bilinear", *("nearest" for _ in masks))
    keys: dict[str, Any] = {"keys": "image"}
    return transforms.Compose(
        [
            *(RandScannerAppearance() for _ in range(scanners)),
            *(transforms.RandFlipd(keys=both, prob=0.5, spatial_axis=axis) for axis in range(3)),
            transforms.RandAffined(
                keys=both,
                mode=nearest,
                prob=0.3,
                rotate_range=(0.5, 0.5, 0.5),
                scale_range=(0.25, 0.25, 0.25),
                padding_mode="zeros",
            ),
            transforms.RandGaussianNoised(**keys, prob=0.15, std=0.3),
            transforms.RandGaussianSmoothd(
                **keys, prob=0.15, sigma_x=(0.3, 1.0), sigma_y=(0.3, 1.0), sigma_z=(0.3, 1.0)
            ),
            transforms.RandScaleIntensityd(**keys, prob=0.3, factors=0.25, channel_wise=True),
            transforms.RandShiftIntensityd(**keys, prob=0.3, offsets=0.2, channel_wise=True),
            transforms.RandSimulateLowResolutiond(**keys, prob=0.15, zoom_range=(0.5, 1.0)),
            transforms.RandAdjustContrastd(
                **keys, prob=0.2, gamma=(0.7, 1.5), retain_stats=True, invert_image=False
            ),
            transforms.ToTensord(keys=both, dtype=torch.float32, track_meta=False),
        ]
    )


class RandScannerAppearance(transforms.RandomizableTransform):
    """Show every modality by itself as another scanner might.

    Each of these is done to some of them: another tone curve, which keeps the order of
    intensities, their mean and their spread; a smooth field on top; more or less contrast to what
    is near; blur, most of it between slices. What is 0 stays 0: background, once z-scored.
    """

    def __call__(self, patch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Change ``image``, (M, Z, Y, X) float32."""
        images = patch["image"].numpy().copy()
        for k, seen in enumerate(images):
            inside = seen != 0
            if inside.sum() >= _LEAST:
                images[k] = np.where(inside, self._rescanned(seen, inside), 0)
        return {**patch, "image": torch.from_numpy(images)}

    def _rescanned(self, seen: np.ndarray, inside: np.ndarray) -> np.ndarray:
        chance = self.R.random_sample(4)
        if chance[0] < 0.6:
            seen = np.where(inside, self._toned(seen, inside), 0)
        if chance[1] < 0.4:
            seen = np.where(inside, seen + self._field(seen.shape), 0)
        if chance[2] < 0.4:
            near = ndimage.uniform_filter(seen, 9)
            seen = np.where(inside, near + (seen - near) * self.R.uniform(0.5, 1.5), 0)
        if chance[3] < 0.3:
            sigma = (self.R.uniform(0, 1.2), *self.R.uniform(0, 0.6, 2))
            seen = ndimage.gaussian_filter(seen, sigma)
        return seen

    def _toned(self, seen: np.ndarray, inside: np.ndarray) -> np.ndarray:
        values = seen[inside]
        low, high = np.percentile(values[::7], (0.5, 99.5))
        points = np.linspace(low, high, self.R.randint(4, 8))
        risen = np.cumsum([0.0, *np.exp(self.R.normal(0, 0.55, len(points) - 1))])
        toned = np.interp(seen, points, low + (high - low) * risen / risen[-1])
        toned += np.maximum(seen - high, 0) + np.minimum(seen - low, 0)
        now = toned[inside]
        return (toned - now.mean()) / (now.std() + 1e-3) * values.std() + values.mean()

    def _field(self, shape: tuple[int, ...]) -> np.ndarray:
        coarse = self.R.normal(0, self.R.uniform(0.05, 0.35), (4, 4, 4))
        return ndimage.zoom(coarse, [edge / 4 for edge in shape], order=1)
