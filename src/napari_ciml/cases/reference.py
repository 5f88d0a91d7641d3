"""A label map to compare with: another reader's, a reference, another run's."""

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
        What it is called in the window.
    labels : numpy.ndarray
        (Z, Y, X) unsigned integers.
    regions : tuple of Region
        What its values mean; empty while the user has not said so.
    conventions : tuple of str
        Names of the conventions that could explain its values, if it is not the regions asked for.
    notices : tuple of str
        What was done to it, or assumed of it, that the user must know.
    """

    name: str
    labels: np.ndarray
    regions: tuple[Region, ...]
    conventions: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    def with_convention(self, convention: str) -> "Reference":
        """Return the same, with its values taken as a convention of `LABEL_CONVENTIONS` says."""
        regions = LABEL_CONVENTIONS[convention]
        return Reference(self.name, self.labels, regions, self.conventions, self.notices)


def read_reference(path: Path, case: Case, regions: Sequence[Region]) -> Reference:
    """Read a label map and bring it onto the case grid.

    Parameters
    ----------
    path : pathlib.Path
        A label map of the same examination.
    case : Case
        Gives the grid.
    regions : sequence of Region
        What its values mean if they are all known there.

    Raises
    ------
    InputError
        If it cannot be read, does not overlap the case, or has values that nothing explains.
    """
    labels, grid = read_labels(path)
    if not grid.overlaps(case.grid):
        raise InputError(f"{path}: does not overlap the case; it belongs to another one.")
    notices = []
    if not grid.is_close(case.grid):
        notices.append(
            f"{path.name} ({grid.describe()}) was brought onto the case's grid "
            f"({case.grid.describe()}) by the nearest voxel."
        )
    values = np.flatnonzero(np.bincount(labels.ravel())).tolist()
    placed = to_smallest_dtype(resample(labels, grid, case.grid, labels=True))
    if values in ([], [0]):
        notices.append(f"{path.name} is empty.")
    known = {label for region in regions for label in region.labels}
    if set(values) - {0} <= known:
        return Reference(path.name, placed, tuple(regions), notices=tuple(notices))
    fitting = matching_conventions(values)
    if not fitting:
        strange = min(set(values) - {0} - known)
        raise InputError(f"{path}: no region has the label {strange}; choose another label map.")
    means, sentence = _meaning(fitting, values, path.name)
    return Reference(path.name, placed, means, fitting, (*notices, sentence))


def _meaning(
    fitting: Sequence[str], values: Collection[int], name: str
) -> tuple[tuple[Region, ...], str]:
    """Return what a file's values mean, and what to tell of it."""
    there = ", ".join(str(value) for value in values if value)
    if len(fitting) == 1:
        return LABEL_CONVENTIONS[fitting[0]], f"{name} (labels {there}) is taken as {fitting[0]}."
    return (), f"{name} (labels {there}) may be {' or '.join(fitting)}; say which."
