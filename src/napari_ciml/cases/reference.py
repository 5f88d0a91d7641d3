"""Reference label maps: of another reader, a data set or another run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import resample
from napari_ciml.cases.labels import LABEL_CONVENTIONS, matching_conventions, to_smallest_dtype
from napari_ciml.cases.writing import read_labels
from napari_ciml.decomposition.model import Region
from napari_ciml.errors import InputError


@dataclass(frozen=True, eq=False)
class Reference:
    """A label map on the case grid.

    Parameters
    ----------
    name : str
        Name shown to the user.
    labels : numpy.ndarray
        (Z, Y, X) unsigned integers.
    regions : tuple of Region
        Label values by region; empty until the user has chosen a convention.
    conventions : tuple of str
        Names of the conventions that match its values, if the expected regions do not.
    notices : tuple of str
        Changes and assumptions, for the user.
    """

    name: str
    labels: np.ndarray
    regions: tuple[Region, ...]
    conventions: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def with_convention(self, convention: str) -> "Reference":
        """Return the reference with the regions of a convention in `LABEL_CONVENTIONS`."""
        regions = LABEL_CONVENTIONS[convention]
        return Reference(self.name, self.labels, regions, self.conventions, self.notices)


def read_reference(path: Path, case: Case, regions: Sequence[Region]) -> Reference:
    """Read a label map and resample it to the case grid.

    Parameters
    ----------
    path : pathlib.Path
        A label map of the same examination.
    case : Case
        Case whose grid is used.
    regions : sequence of Region
        Expected regions; used if they define all of its values.

    Raises
    ------
    InputError
        If it cannot be read, does not overlap the case, or no convention defines its values.
    """
    labels, grid = read_labels(path)
    if not grid.overlaps(case.grid):
        raise InputError(f"{path}: does not overlap the case; it belongs to another one.")
    notices = []
    if not grid.is_close(case.grid):
        notices.append(
            f"{path.name} ({grid.describe()}) was resampled to the case grid "
            f"({case.grid.describe()}), nearest neighbour."
        )
    values = np.flatnonzero(np.bincount(labels.ravel())).tolist()
    resampled = to_smallest_dtype(resample(labels, grid, case.grid, labels=True))
    if values in ([], [0]):
        notices.append(f"{path.name} is empty.")
    known = {label for region in regions for label in region.labels}
    if set(values) - {0} <= known:
        return Reference(path.name, resampled, tuple(regions), notices=tuple(notices))
    conventions = matching_conventions(values)
    if not conventions:
        unknown = min(set(values) - {0} - known)
        raise InputError(f"{path}: no region has the label {unknown}; choose another label map.")
    chosen, notice = _choose_convention(conventions, values, path.name)
    return Reference(path.name, resampled, chosen, conventions, (*notices, notice))


def _choose_convention(
    conventions: Sequence[str], values: Collection[int], name: str
) -> tuple[tuple[Region, ...], str]:
    """Return the regions of the only matching convention, else none; and a notice."""
    present = ", ".join(str(value) for value in values if value)
    if len(conventions) == 1:
        (only,) = conventions
        return LABEL_CONVENTIONS[only], f"{name} (labels {present}) is taken as {only}."
    return (), f"{name} (labels {present}) may be {' or '.join(conventions)}; choose one."
