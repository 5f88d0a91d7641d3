"""How well registration finds a known motion: phantoms moved at random.

Each trial takes one modality of a phantom, turns and shifts it at random, samples it on a grid of
thick slices of its own, and registers it to T1CE. The error is how far, on average, points of the
brain end from where they belong (the target registration error).
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
    """What is tried.

    Parameters
    ----------
    trials : int
        Random motions.
    phantoms : int
        Phantoms that take turns.
    degrees, mm : float
        Most of a turn about a random axis, and of a shift.
    spacing : float
        Voxel size of the phantoms in mm.
    slices : tuple of float
        Voxel size of the moved volume, (x, y, z) in mm.
    seed : int
        Of the motions.
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
    """Register phantoms that were moved, and write how far off they end.

    A line of the table is a trial: what was moved and how, the error before and after (mean over
    the brain, in mm), and the largest error of any point after.

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
        moving = moved(phantom, modality, truth, study.slices)
        quiet = ProgressMonitor(stop=monitor.stop)
        found = register(fixed, moving, settings, quiet, "").motion
        points = fixed.points()
        error = np.linalg.norm(found.points(points) - truth.points(points), axis=1)
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


def moved(
    phantom: Phantom, modality: str, truth: AffineTransform, slices: tuple[float, float, float]
) -> RegistrationImage:
    """Return a modality moved by a motion, on a grid of its own that holds all of it."""
    reach = np.max([truth.points(phantom.grid.corners())], axis=(0, 1))
    start = np.min([truth.points(phantom.grid.corners())], axis=(0, 1))
    x, y, z = (int(np.ceil(edge / mm)) for edge, mm in zip(reach - start, slices, strict=True))
    grid = Grid((x, y, z), slices, tuple(start.tolist()))
    image = phantom.images[modality]
    moved = resample(image, phantom.grid, grid, transform=truth.inverse())
    return RegistrationImage.of(moved, grid)


def _draw(rng: np.random.Generator, centre: np.ndarray, study: AlignmentStudy) -> AffineTransform:
    axis, way = (vector / np.linalg.norm(vector) for vector in rng.standard_normal((2, 3)))
    turn = Rotation.from_rotvec(axis * np.radians(rng.uniform(0, study.degrees)))
    return AffineTransform.about(centre, turn.as_matrix(), way * rng.uniform(0, study.mm))


@lru_cache(maxsize=8)
def _phantom(seed: int, spacing: float) -> Phantom:
    return make_phantom("glioma", seed, spacing)
