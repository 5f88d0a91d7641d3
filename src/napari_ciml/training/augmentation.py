"""Augmentation of training patches."""

from typing import Any

import numpy as np
import torch
from monai import transforms
from scipy import ndimage
from torch import Tensor

_MIN_FOREGROUND = 500
"""Modalities with fewer foreground voxels in a patch are not varied."""


def augmentation(
    masks: tuple[str, ...] = ("regions",), scanner_augmentation: bool = False
) -> transforms.Compose:
    """Return nnU-Net's default augmentation in MONAI transforms: spatial, noise, intensity.

    Parameters
    ----------
    masks : tuple of str
        Entries that are transformed with the image, by nearest-neighbour interpolation.
    scanner_augmentation : bool
        Also vary the appearance of each modality (`RandScannerAppearance`).
    """
    keys = ("image", *masks)
    modes = ("bilinear", *("nearest" for _ in masks))
    image: dict[str, Any] = {"keys": "image"}
    return transforms.Compose(
        [
            *([RandScannerAppearance()] if scanner_augmentation else []),
            *(transforms.RandFlipd(keys=keys, prob=0.5, spatial_axis=axis) for axis in range(3)),
            transforms.RandAffined(
                keys=keys,
                mode=modes,
                prob=0.3,
                rotate_range=(0.5, 0.5, 0.5),
                scale_range=(0.25, 0.25, 0.25),
                padding_mode="zeros",
            ),
            transforms.RandGaussianNoised(**image, prob=0.15, std=0.3),
            transforms.RandGaussianSmoothd(
                **image, prob=0.15, sigma_x=(0.3, 1.0), sigma_y=(0.3, 1.0), sigma_z=(0.3, 1.0)
            ),
            transforms.RandScaleIntensityd(**image, prob=0.3, factors=0.25, channel_wise=True),
            transforms.RandShiftIntensityd(**image, prob=0.3, offsets=0.2, channel_wise=True),
            transforms.RandSimulateLowResolutiond(**image, prob=0.15, zoom_range=(0.5, 1.0)),
            transforms.RandAdjustContrastd(
                **image, prob=0.2, gamma=(0.7, 1.5), retain_stats=True, invert_image=False
            ),
            transforms.ToTensord(keys=keys, dtype=torch.float32, track_meta=False),
        ]
    )


class RandScannerAppearance(transforms.RandomizableTransform):
    """Vary each modality independently as if it came from another scanner.

    Applied at random: a monotonic tone curve that preserves mean and standard deviation (60 %), an
    additive smooth field (40 %), more or less local contrast (40 %), and blur, mostly between
    slices (30 %). Voxels with value 0, the background of z-scored images, stay 0.
    """

    def __call__(self, patch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Transform ``image``, (M, Z, Y, X) float32."""
        images = patch["image"].numpy().copy()
        for k, image in enumerate(images):
            foreground = image != 0
            if foreground.sum() >= _MIN_FOREGROUND:
                images[k] = np.where(foreground, self._vary(image, foreground), 0)
        return {**patch, "image": torch.from_numpy(images)}

    def _vary(self, image: np.ndarray, foreground: np.ndarray) -> np.ndarray:
        draws = self.R.random_sample(4)
        if draws[0] < 0.6:
            image = np.where(foreground, self._tone_curve(image, foreground), 0)
        if draws[1] < 0.4:
            image = np.where(foreground, image + self._smooth_field(image.shape), 0)
        if draws[2] < 0.4:
            local_mean = ndimage.uniform_filter(image, 9)
            contrast = self.R.uniform(0.5, 1.5)
            image = np.where(foreground, local_mean + (image - local_mean) * contrast, 0)
        if draws[3] < 0.3:
            sigma = (self.R.uniform(0, 1.2), *self.R.uniform(0, 0.6, 2))
            image = ndimage.gaussian_filter(image, sigma)
        return image

    def _tone_curve(self, image: np.ndarray, foreground: np.ndarray) -> np.ndarray:
        values = image[foreground]
        low, high = np.percentile(values[::7], (0.5, 99.5))
        points = np.linspace(low, high, self.R.randint(4, 8))
        rise = np.cumsum([0.0, *np.exp(self.R.normal(0, 0.55, len(points) - 1))])
        toned = np.interp(image, points, low + (high - low) * rise / rise[-1])
        toned += np.maximum(image - high, 0) + np.minimum(image - low, 0)
        new = toned[foreground]
        return (toned - new.mean()) / (new.std() + 1e-3) * values.std() + values.mean()

    def _smooth_field(self, shape: tuple[int, ...]) -> np.ndarray:
        coarse = self.R.normal(0, self.R.uniform(0.05, 0.35), (4, 4, 4))
        return ndimage.zoom(coarse, [edge / 4 for edge in shape], order=1)
