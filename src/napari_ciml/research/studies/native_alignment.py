"""Study ``registration`` on a patient: error between modalities, relative to a prepared data set.

Data sets such as BraTS distribute registered modalities. If the original files exist, too, each one
is registered to its own prepared version, which is easy. That gives its true position relative to
the others, up to one rigid transform of all of them.
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
"""Settings for registering an image to a resampled version of itself."""


def measure_native(native: Path, prepared: Path, output: Path, monitor: ProgressMonitor) -> Path:
    """Align a case with `open_case`, and write the remaining error between its modalities.

    Parameters
    ----------
    native, prepared : pathlib.Path
        The same patient: original files, and registered by the data set.
    output : pathlib.Path
        Output folder. The table has a row for each modality but the reference, with the mean error
        over the brain in mm before (positions in the files) and after alignment, and the largest.
    monitor : ProgressMonitor
        Receives a step per modality.

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
        raise InputError(f"{prepared}: does not have the modalities of {native}.")
    transforms = {name: _to_native(case, truth, name, monitor) for name in names}
    points = RegistrationImage.of(truth.images[case.reference], truth.grid).points()
    reference_points = transforms[case.reference].points(points)
    rows: list[dict[str, object]] = []
    for name in names:
        if name != case.reference:
            expected = transforms[name].points(points)
            before = np.linalg.norm(reference_points - expected, axis=1)
            aligned = case.transforms.get(name, AffineTransform()).points(reference_points)
            error = np.linalg.norm(aligned - expected, axis=1)
            rows.append(
                {
                    "moved": name,
                    "before_mm": f"{before.mean():.3f}",
                    "after_mm": f"{error.mean():.3f}",
                    "largest_mm": f"{error.max():.3f}",
                }
            )
    return write_table(ensure_writable_folder(output / TABLES) / NATIVE, rows)


def _to_native(case: Case, truth: Case, name: str, monitor: ProgressMonitor) -> AffineTransform:
    """Return the transform from a prepared modality to its original file."""
    original = load_case({name: case.sources[name]}, name=name, monitor=monitor)
    fixed = RegistrationImage.of(truth.images[name], truth.grid)
    moving = RegistrationImage.of(original.images[name], original.grid)
    return register(fixed, moving, _EXACT, monitor, f"Registering {name}").transform
