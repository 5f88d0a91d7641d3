"""The case that is segmented: a phantom brain of a given size in a volume of a given size."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from napari_ciml.cases.case import open_case
from napari_ciml.cases.geometry import Grid, resample
from napari_ciml.cases.writing import write_volume
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.files import ensure_writable_folder
from napari_ciml.paths import sample_data
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research.bench.config import BRATS, MARGIN, BenchConfig, Extent, Shape
from napari_ciml.research.phantoms import make_phantom

SEED = 7
_MODALITIES = PRESETS["brats2020"].input_modalities


def write_cases(setup: BenchConfig, monitor: ProgressMonitor) -> str:
    """Write the case and the cases of the growth; return what they show, in words."""
    monitor.step("Making a phantom")
    images, source = _phantom(setup)
    extents = {setup.case: setup.extent}
    extents |= {setup.folder / name: extent for name, extent in setup.growth.items()}
    for done, (folder, extent) in enumerate(extents.items()):
        monitor.step("Writing cases", done, len(extents))
        write_case(folder, images, extent)
    return source


def write_case(folder: Path, images: Mapping[str, np.ndarray], extent: Extent) -> None:
    """Stretch a brain to the extent's box, lay it into the extent's volume, write each modality."""
    ensure_writable_folder(folder)
    z, y, x = extent.shape
    grid = Grid((x, y, z), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    c, b, a = (edge - 2 * MARGIN for edge in extent.box)
    where = tuple(
        slice(first + MARGIN, first + edge - MARGIN)
        for first, edge in zip(extent.start, extent.box, strict=True)
    )
    crop = _bounding_box(next(iter(images.values())) > 0)
    for name, image in images.items():
        volume = np.zeros(extent.shape, np.int16)
        volume[where] = _stretched(image[crop], (c, b, a))
        write_volume(folder / f"case_{name.lower()}.nii.gz", volume, grid)


def _phantom(setup: BenchConfig) -> tuple[Mapping[str, np.ndarray], str]:
    """Return a glioma phantom: a new one at 1 mm, or for less than a whole case the shipped one."""
    if setup.extent == BRATS and find_spec("nilearn") is not None:
        return make_phantom("glioma", SEED, 1.0).images, "glioma phantom, made at 1 mm"
    shipped = open_case(sample_data() / "glioma", needed=_MODALITIES)
    return shipped.images, "the shipped glioma phantom, resampled"


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    filled = [np.flatnonzero(mask.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    return tuple(slice(int(edge[0]), int(edge[-1]) + 1) for edge in filled)


def _stretched(image: np.ndarray, shape: Shape) -> np.ndarray:
    """Resample to a shape, (Z, Y, X) int16: what is brain is at least 1, all else 0."""
    z, y, x = (old / new for old, new in zip(image.shape, shape, strict=True))
    source = Grid(image.shape[::-1], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    corner = (0.5 * x - 0.5, 0.5 * y - 0.5, 0.5 * z - 0.5)
    target = Grid(shape[::-1], (x, y, z), corner)
    brain = resample((image > 0).astype(np.uint8), source, target, labels=True) > 0
    values = np.maximum(np.rint(resample(image, source, target)), 1)
    return np.where(brain, values, 0).astype(np.int16)
