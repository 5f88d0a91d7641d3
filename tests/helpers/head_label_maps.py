"""A head made of ellipsoids, as a label map with FreeSurfer's values."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHAPE = (150, 150, 130)


def head_labels() -> np.ndarray:
    """Return two hemispheres, a cerebellum and a stem in fluid in bone, (Z, Y, X) in LPS."""
    z, y, x = np.indices(SHAPE, np.float32)

    def ellipsoid(centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
        parts = ((a - c) / r for a, c, r in zip((z, y, x), centre, radii, strict=True))
        return np.asarray(sum(part**2 for part in parts) < 1)

    labels = np.zeros(SHAPE, np.int16)
    labels[ellipsoid((75, 75, 64.5), (66, 70, 58))] = 515
    labels[ellipsoid((75, 75, 64.5), (61, 65, 53))] = 24
    cerebrum = ellipsoid((83, 75, 64.5), (46, 58, 46)) & (z > 62)
    inner = ellipsoid((83, 75, 64.5), (40, 52, 40)) & (z > 67)
    for left, cortex, white, ventricle in ((True, 3, 2, 4), (False, 42, 41, 43)):
        side = cerebrum & (x > 67 if left else x < 62)
        labels[side] = cortex
        labels[inner & (x > 70 if left else x < 59)] = white
        middle = (85, 75, 78 if left else 51)
        labels[ellipsoid(middle, (8, 16, 5))] = ventricle
        labels[ellipsoid(middle, (3, 8, 2))] = 31 if left else 63
    labels[ellipsoid((45, 100, 64.5), (13, 25, 38)) & (x > 64)] = 8
    labels[ellipsoid((45, 100, 64.5), (13, 25, 38)) & (x <= 64)] = 47
    labels[ellipsoid((48, 68, 64.5), (20, 8, 9))] = 16
    labels[ellipsoid((60, 55, 64.5), (2, 3, 5))] = 85
    return labels


def write_head(path: Path, labels: np.ndarray, spacing: float = 1.0) -> Path:
    """Write a label map, stored coronally as the published ones are."""
    image = sitk.GetImageFromArray(labels.astype(np.float32))
    image.SetSpacing((spacing,) * 3)
    sitk.WriteImage(sitk.DICOMOrient(image, "LIA"), str(path))
    return path
