"""Cases written to disk."""

from pathlib import Path

import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.writing import write_volume


def write_case(folder: Path, grid: Grid, seed: int = 0, names: str = "flair t1 t1ce t2") -> Path:
    """Write modalities of a ball of noise in a zero background."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    z, y, x = (np.linspace(-1.2, 1.2, n) for n in grid.shape)
    inside = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < 1
    for name in names.split():
        image = np.where(inside, rng.normal(500, 100, grid.shape), 0).astype(np.float32)
        write_volume(folder / f"case_{name}.nii.gz", image, grid)
    return folder
