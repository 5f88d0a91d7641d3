"""Made-up heads: a phantom brain in fluid, skull and scalp, with eyes."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt, gaussian_filter

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.intensity import foreground
from napari_ciml.research.phantoms.phantom import Phantom, make_phantom

CONTRASTS = {
    "T1": {"fluid": 0.25, "skull": 0.08, "scalp": 1.3, "eye": 0.3},
    "T1CE": {"fluid": 0.25, "skull": 0.1, "scalp": 1.3, "eye": 0.3},
    "T2": {"fluid": 1.8, "skull": 0.1, "scalp": 0.7, "eye": 1.8},
    "FLAIR": {"fluid": 0.2, "skull": 0.1, "scalp": 0.9, "eye": 0.2},
}
"""As shares of the brain's median."""

PAD = 10
MM = 3.0


def head_of(phantom: Phantom, name: str, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return an image of a head and where its brain is."""
    rng = np.random.default_rng(1)
    image = np.pad(phantom.images[name], PAD)
    brain = foreground(image)
    far = distance_transform_edt(~brain) * MM
    look, middle = CONTRASTS[name], float(np.median(image[brain]))
    layers = [(24.0, "scalp"), (16.0, "skull"), (4.0, "fluid")]
    head = np.zeros(image.shape, np.float32)
    for reach, part in layers:
        head[far <= reach] = look[part] * middle
    z, y, x = np.indices(image.shape)
    where = np.argwhere(brain)
    low, front, (_, _, centre) = where[:, 0].min(), where[:, 1].min(), where.mean(axis=0)
    z_mm, y_mm, x_mm = (n * MM for n in (z - low - 9, y - front, x - centre))
    for side in (-32, 32):
        eye = z_mm**2 + (y_mm + 14) ** 2 + (x_mm - side) ** 2 < 12.0**2
        head[eye & ~brain] = look["eye"] * middle
        # The optic nerve goes through the skull.
        nerve = (z_mm**2 + (x_mm - side) ** 2 < 3.0**2) & (far < 22) & (y_mm < 24)
        head[nerve & ~brain] = 0.9 * middle
    head = np.where(brain, image, head)
    slope = 1 + 0.15 * (y / y.max() - 0.5)
    blurred = gaussian_filter(head * slope, 0.4).astype(np.float32)
    noisy = np.hypot(
        blurred + rng.normal(0, noise * middle, head.shape),
        rng.normal(0, noise * middle, head.shape),
    )
    return noisy.astype(np.float32), brain


def write_head(folder: Path) -> np.ndarray:
    """Write a case of four modalities that show the skull; return where the brain is."""
    phantom, brain = make_phantom("glioma", 5, MM), np.zeros(0)
    for name in CONTRASTS:
        image, brain = head_of(phantom, name, 0.03)
        grid = Grid(image.shape[::-1], (MM,) * 3, (0.0, 0.0, 0.0))
        sitk.WriteImage(grid.to_sitk(image), str(folder / f"head_{name.lower()}.nii.gz"))
    return brain
