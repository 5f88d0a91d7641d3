"""The benchmark's case: a phantom brain of a given size in a volume of a given size."""

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


def write_cases(config: BenchConfig, monitor: ProgressMonitor) -> str:
    """Write the case and the cases of growing size; return a description of them."""
    monitor.step("Making a phantom")
    images, source = _phantom(config)
    extents = {config.case: config.extent}
    extents |= {config.folder / name: extent for name, extent in config.growth.items()}
    for k, (folder, extent) in enumerate(extents.items()):
        monitor.step("Writing cases", k, len(extents))
        write_case(folder, images, extent)
    return source


def write_case(folder: Path, images: Mapping[str, np.ndarray], extent: Extent) -> None:
    """Resample a brain to the extent's box, place it in its volume, write each modality."""
    ensure_writable_folder(folder)
    z, y, x = extent.shape
    grid = Grid((x, y, z), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    c, b, a = (edge - 2 * MARGIN for edge in extent.box)
    position = tuple(
        slice(first + MARGIN, first + edge - MARGIN)
        for first, edge in zip(extent.start, extent.box, strict=True)
    )
    crop = _bounding_box(next(iter(images.values())) > 0)
    for name, image in images.items():
        volume = np.zeros(extent.shape, np.int16)
        volume[position] = _resampled(image[crop], (c, b, a))
        write_volume(folder / f"case_{name.lower()}.nii.gz", volume, grid)


def _phantom(config: BenchConfig) -> tuple[Mapping[str, np.ndarray], str]:
    """Return a glioma phantom: a new one at 1 mm; for smaller volumes, the bundled one."""
    if config.extent == BRATS and find_spec("nilearn") is not None:
        return make_phantom("glioma", SEED, 1.0).images, "glioma phantom, made at 1 mm"
    bundled = open_case(sample_data() / "glioma", needed=_MODALITIES)
    return bundled.images, "the bundled glioma phantom, resampled"


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    filled = [np.flatnonzero(mask.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    return tuple(slice(int(edge[0]), int(edge[-1]) + 1) for edge in filled)


def _resampled(image: np.ndarray, shape: Shape) -> np.ndarray:
    """Resample to a shape, (Z, Y, X) int16, at least 1 inside the brain and 0 outside."""
    z, y, x = (old / new for old, new in zip(image.shape, shape, strict=True))
    source = Grid(image.shape[::-1], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    corner = (0.5 * x - 0.5, 0.5 * y - 0.5, 0.5 * z - 0.5)
    target = Grid(shape[::-1], (x, y, z), corner)
    brain = resample((image > 0).astype(np.uint8), source, target, labels=True) > 0
    values = np.maximum(np.rint(resample(image, source, target)), 1)
    return np.where(brain, values, 0).astype(np.int16)
