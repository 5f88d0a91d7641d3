"""Study ``registration``: target registration error on phantoms moved at random.

The paper's data sets are registered, so it has no such table. Each trial takes one modality of a
phantom, rotates and shifts it at random, resamples it on a grid with thick slices, and registers it
to T1CE. The error is the mean distance between points of the brain and their true positions.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from napari_ciml.cases.geometry import Grid, resample
from napari_ciml.cases.registration import RegistrationImage, RegistrationSettings, register
from napari_ciml.cases.transform import AffineTransform
from napari_ciml.files import ensure_writable_folder, write_table
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research import TABLES
from napari_ciml.research.phantoms.phantom import Phantom, make_phantom

ALIGNMENT = "alignment.csv"

_FIXED, _MOVING = "T1CE", ("FLAIR", "T1", "T2")
_FIRST_SEED = 40_000


@dataclass(frozen=True)
class AlignmentStudy:
    """Settings of the study.

    Parameters
    ----------
    trials : int
        Number of random transforms.
    phantoms : int
        Number of phantoms, which take turns.
    degrees, mm : float
        Largest rotation about a random axis, and largest shift.
    spacing : float
        Voxel size of the phantoms in mm.
    slices : tuple of float
        Voxel size of the moved volume, (x, y, z) in mm.
    seed : int
        Seed of the transforms.
    """

    trials: int = 50
    phantoms: int = 5
    degrees: float = 15.0
    mm: float = 20.0
    spacing: float = 1.0
    slices: tuple[float, float, float] = (1.0, 1.0, 3.0)
    seed: int = 0


def measure_alignment(
    output: Path,
    monitor: ProgressMonitor,
    study: AlignmentStudy | None = None,
    settings: RegistrationSettings | None = None,
) -> Path:
    """Register randomly moved phantoms, and write the target registration errors.

    A row of the table is a trial: the moved modality and its transform, the mean error over the
    brain before and after in mm, and the largest error of any point after.

    Raises
    ------
    InputError
        If the table cannot be written.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    study, settings = study or AlignmentStudy(), settings or RegistrationSettings()
    folder = ensure_writable_folder(output / TABLES)
    rng = np.random.default_rng(study.seed)
    rows: list[dict[str, object]] = []
    for trial in range(study.trials):
        monitor.step("Registering phantoms", trial, study.trials)
        phantom = _phantom(_FIRST_SEED + trial % study.phantoms, study.spacing)
        modality = _MOVING[trial % len(_MOVING)]
        fixed = RegistrationImage.of(phantom.images[_FIXED], phantom.grid)
        truth = _draw(rng, fixed.centre(), study)
        moving = move_modality(phantom, modality, truth, study.slices)
        quiet = ProgressMonitor(stop=monitor.stop)
        estimated = register(fixed, moving, settings, quiet, "").transform
        points = fixed.points()
        error = np.linalg.norm(estimated.points(points) - truth.points(points), axis=1)
        rows.append(
            {
                "trial": trial,
                "moved": modality,
                "degrees": f"{truth.rotation_degrees:.2f}",
                "before_mm": f"{truth.displacements_mm(points).mean():.3f}",
                "after_mm": f"{error.mean():.3f}",
                "largest_mm": f"{error.max():.3f}",
            }
        )
    return write_table(folder / ALIGNMENT, rows)


def move_modality(
    phantom: Phantom, modality: str, truth: AffineTransform, slices: tuple[float, float, float]
) -> RegistrationImage:
    """Return a transformed modality on a grid of its own that contains all of it."""
    corners = truth.points(phantom.grid.corners())
    start, end = corners.min(axis=0), corners.max(axis=0)
    x, y, z = (int(np.ceil(edge / mm)) for edge, mm in zip(end - start, slices, strict=True))
    grid = Grid((x, y, z), slices, tuple(start.tolist()))
    image = phantom.images[modality]
    moved = resample(image, phantom.grid, grid, transform=truth.inverse())
    return RegistrationImage.of(moved, grid)


def _draw(rng: np.random.Generator, centre: np.ndarray, study: AlignmentStudy) -> AffineTransform:
    axis, shift = (vector / np.linalg.norm(vector) for vector in rng.standard_normal((2, 3)))
    rotation = Rotation.from_rotvec(axis * np.radians(rng.uniform(0, study.degrees)))
    return AffineTransform.about(centre, rotation.as_matrix(), shift * rng.uniform(0, study.mm))


@lru_cache(maxsize=8)
def _phantom(seed: int, spacing: float) -> Phantom:
    return make_phantom("glioma", seed, spacing)
