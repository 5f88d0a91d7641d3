"""Looking through a cohort before training: everything that is wrong with it, at once."""

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.cases.discovery import discover_volumes
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import LABEL_CONVENTIONS, matching_conventions
from napari_ciml.cases.writing import read_labels
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor


@dataclass(frozen=True)
class CohortIssue:
    """Why a case cannot be trained on, and what to do about it."""

    case: LabelledCase
    reason: str

    def __str__(self) -> str:
        return f"{self.case.name}: {self.reason}"


def audit(
    cases: Sequence[LabelledCase],
    decomposition: Decomposition,
    monitor: ProgressMonitor,
    workers: int = 1,
) -> tuple[CohortIssue, ...]:
    """Find every case that cannot be trained on; of the images only the headers are read.

    Parameters
    ----------
    cases : sequence of LabelledCase
        The cohort.
    decomposition : Decomposition
        Says which modalities must be there, and which label values may be.
    monitor : Monitor
        Told after each case.
    workers : int
        Cases looked at at the same time.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    flaws: list[CohortIssue] = []
    aligned: dict[LabelledCase, bool] = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        looked = pool.map(lambda case: _look(case, decomposition, monitor), cases)
        for done, (case, found) in enumerate(zip(cases, looked, strict=True)):
            monitor.step("Checking cases", done + 1, len(cases))
            if isinstance(found, str):
                flaws.append(CohortIssue(case, found))
            else:
                aligned[case] = found
    # In a cohort of co-registered cases, one that is not is a mistake.
    usual = Counter(aligned.values()).most_common(1)
    if usual and usual[0][0]:
        flaws += [
            CohortIssue(
                case,
                "its modalities lie on different grids, unlike those of the other cases; "
                "bring them onto one grid.",
            )
            for case, same in aligned.items()
            if not same
        ]
    order = {case.name: k for k, case in enumerate(cases)}
    return tuple(sorted(flaws, key=lambda flaw: order[flaw.case.name]))


def validate_label_values(labels: np.ndarray, decomposition: Decomposition, what: str) -> None:
    """See that every label value means something; as background it would be learnt as such.

    Raises
    ------
    InputError
        If a value is in no region.
    """
    strange = _strange(labels, decomposition)
    if strange:
        raise InputError(f"{what}: {strange}")


def _strange(
    labels: np.ndarray, decomposition: Decomposition, passed_over: Collection[int] = ()
) -> str | None:
    """Return what is wrong with label values, or None."""
    values = set(np.unique(labels).tolist()) - {0}
    known = sorted({label for region in decomposition.regions for label in region.labels})
    strange = sorted(values - {*known, *passed_over})
    if not strange:
        return None
    fitting = [
        name
        for name in matching_conventions(values)
        if {region.name for region in LABEL_CONVENTIONS[name]} >= set(decomposition.region_names)
    ]
    advice = f"say that its labels are those of {' or '.join(fitting)}, " if fitting else ""
    return (
        f"has label {', '.join(map(str, strange))}, which is in no region of {decomposition.name} "
        f"({', '.join(map(str, known))}); {advice}relabel it, or choose another decomposition."
    )


def _look(case: LabelledCase, decomposition: Decomposition, monitor: ProgressMonitor) -> bool | str:
    """Return whether all modalities lie on one grid, or what is wrong."""
    monitor.raise_if_cancelled()
    try:
        grids = _grids(case, decomposition.input_modalities)
        if isinstance(grids, str):
            return grids
        return _label_flaw(case, decomposition, grids) or all(
            grid.is_close(grids[0]) for grid in grids
        )
    except InputError as error:
        return str(error)


def _grids(case: LabelledCase, modalities: tuple[str, ...]) -> list[Grid] | str:
    found = discover_volumes(case.folder, overrides=dict(case.files))
    sources = {source.modality: source.grid for source in found.sources if source.modality}
    missing = [name for name in modalities if name not in sources]
    if missing:
        return f"{', '.join(missing)} is missing; add it, or choose another decomposition."
    if found.problems:
        return found.problems[0].text
    return [sources[name] for name in modalities]


def _label_flaw(case: LabelledCase, decomposition: Decomposition, grids: list[Grid]) -> str | None:
    if case.label is None:
        return "there is no label map, or more than one; it needs one with 'seg' in its name."
    labels, grid = read_labels(case.label)
    strange = _strange(labels, decomposition, case.ignored_labels)
    if strange:
        return f"{case.label.name} {strange}"
    # Labels are read in LPS orientation, so grids are compared by the box they fill.
    if not any(_same_voxels(grid, other) for other in grids):
        return (
            f"{case.label.name} lies on another grid ({grid.describe()}) than any of its images "
            f"({grids[0].describe()}); resample it onto theirs."
        )
    return None


def _same_voxels(one: Grid, other: Grid) -> bool:
    corners = [np.sort(np.round(grid.corners(), 2), axis=0) for grid in (one, other)]
    return sorted(one.size) == sorted(other.size) and bool(
        np.allclose(corners[0], corners[1], atol=0.1)
    )
