"""How far from each other the modalities of a patient end, judged by the same patient prepared.

Data sets hand out modalities that were registered with care. Where the files that they were made
from are there, too, each one is registered to its own prepared version, which is easy; that tells
where it should lie beside the others, up to one rigid motion of all of them.
"""

from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case, load_case, open_case
from napari_ciml.cases.registration import RegistrationImage, RegistrationSettings, register
from napari_ciml.cases.transform import AffineTransform
from napari_ciml.errors import InputError
from napari_ciml.files import ensure_writable_folder, write_table
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research import TABLES

NATIVE = "alignment-native.csv"

_EXACT = RegistrationSettings(levels_mm=(8.0, 4.0, 2.0, 1.0))
"""Of one image to its own resampled self."""


def measure_native(native: Path, prepared: Path, output: Path, monitor: ProgressMonitor) -> Path:
    """Align a case as the program does, and write how far its modalities then lie from each other.

    Parameters
    ----------
    native, prepared : pathlib.Path
        The same patient: as scanned, and aligned by somebody else.
    output : pathlib.Path
        Where the table goes: a line for each modality but the reference, with mean and largest
        error over the brain, in mm, by the files' positions (before) and aligned (after).
    monitor : Monitor
        Told at each modality.

    Raises
    ------
    InputError
        If a case cannot be used, or they share fewer than two modalities.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    case = open_case(native, align=RegistrationSettings(), monitor=monitor)
    truth = open_case(prepared, monitor=monitor)
    names = [name for name in case.images if name in truth.images]
    if len(names) < 2 or case.reference not in names:
        raise InputError(f"{prepared}: has not the modalities of {native}.")
    homes = {name: _home(case, truth, name, monitor) for name in names}
    points = RegistrationImage.of(truth.images[case.reference], truth.grid).points()
    beside = homes[case.reference].points(points)
    rows: list[dict[str, object]] = []
    for name in names:
        if name != case.reference:
            right = homes[name].points(points)
            before = np.linalg.norm(beside - right, axis=1)
            after = case.transforms.get(name, AffineTransform()).points(beside) - right
            error = np.linalg.norm(after, axis=1)
            rows.append(
                {
                    "moved": name,
                    "before_mm": f"{before.mean():.3f}",
                    "after_mm": f"{error.mean():.3f}",
                    "largest_mm": f"{error.max():.3f}",
                }
            )
    return write_table(ensure_writable_folder(output / TABLES) / NATIVE, rows)


def _home(case: Case, truth: Case, name: str, monitor: ProgressMonitor) -> AffineTransform:
    """Return the motion from a prepared modality to where its file has it."""
    alone = load_case({name: case.sources[name]}, name=name, monitor=monitor)
    fixed = RegistrationImage.of(truth.images[name], truth.grid)
    moving = RegistrationImage.of(alone.images[name], alone.grid)
    return register(fixed, moving, _EXACT, monitor, f"Finding {name}").motion
