"""Check a cohort before training and report every unusable case at once."""

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
    """Reason why a case cannot be used for training, with advice."""

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
    """Find every case that cannot be used for training; of the images only headers are read.

    Parameters
    ----------
    cases : sequence of LabelledCase
        The cohort.
    decomposition : Decomposition
        Defines the required modalities and the allowed label values.
    monitor : ProgressMonitor
        Receives a step per case.
    workers : int
        Number of cases that are checked at the same time.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set.
    """
    issues: list[CohortIssue] = []
    is_aligned: dict[LabelledCase, bool] = {}
    with ThreadPoolExecutor(max(1, workers)) as pool:
        results = pool.map(lambda case: _check(case, decomposition, monitor), cases)
        for k, (case, result) in enumerate(zip(cases, results, strict=True)):
            monitor.step("Checking cases", k + 1, len(cases))
            if isinstance(result, str):
                issues.append(CohortIssue(case, result))
            else:
                is_aligned[case] = result
    # In a cohort of co-registered cases, one that is not is a mistake.
    most_common = Counter(is_aligned.values()).most_common(1)
    if most_common and most_common[0][0]:
        issues += [
            CohortIssue(
                case,
                "its modalities lie on different grids, unlike those of the other cases; "
                "resample them onto one grid.",
            )
            for case, aligned in is_aligned.items()
            if not aligned
        ]
    order = {case.name: k for k, case in enumerate(cases)}
    return tuple(sorted(issues, key=lambda issue: order[issue.case.name]))


def validate_label_values(labels: np.ndarray, decomposition: Decomposition, name: str) -> None:
    """Check that every label value belongs to a region; others would be trained as background.

    Raises
    ------
    InputError
        If a value belongs to no region; the sentence begins with ``name``.
    """
    issue = _label_value_issue(labels, decomposition)
    if issue:
        raise InputError(f"{name}: {issue}")


def _label_value_issue(
    labels: np.ndarray, decomposition: Decomposition, ignored: Collection[int] = ()
) -> str | None:
    """Return what is wrong with the label values, or None."""
    values = set(np.unique(labels).tolist()) - {0}
    known = sorted({label for region in decomposition.regions for label in region.labels})
    unknown = sorted(values - {*known, *ignored})
    if not unknown:
        return None
    conventions = [
        name
        for name in matching_conventions(values)
        if {region.name for region in LABEL_CONVENTIONS[name]} >= set(decomposition.region_names)
    ]
    advice = f"choose the label convention {' or '.join(conventions)}, " if conventions else ""
    return (
        f"has label {', '.join(map(str, unknown))}, which is in no region of {decomposition.name} "
        f"({', '.join(map(str, known))}); {advice}relabel it, or choose another decomposition."
    )


def _check(
    case: LabelledCase, decomposition: Decomposition, monitor: ProgressMonitor
) -> bool | str:
    """Return whether all modalities lie on one grid, or what is wrong with the case."""
    monitor.raise_if_cancelled()
    try:
        grids = _grids(case, decomposition.input_modalities)
        if isinstance(grids, str):
            return grids
        return _label_map_issue(case, decomposition, grids) or all(
            grid.is_close(grids[0]) for grid in grids
        )
    except InputError as error:
        return str(error)


def _grids(case: LabelledCase, modalities: tuple[str, ...]) -> list[Grid] | str:
    discovered = discover_volumes(case.folder, overrides=dict(case.files))
    grids = {source.modality: source.grid for source in discovered.sources if source.modality}
    missing = [name for name in modalities if name not in grids]
    if missing:
        return f"{', '.join(missing)} is missing; add it, or choose another decomposition."
    if discovered.problems:
        return discovered.problems[0].text
    return [grids[name] for name in modalities]


def _label_map_issue(
    case: LabelledCase, decomposition: Decomposition, grids: list[Grid]
) -> str | None:
    if case.label is None:
        return "there is no label map, or more than one; it needs one with 'seg' in its name."
    labels, grid = read_labels(case.label)
    issue = _label_value_issue(labels, decomposition, case.ignored_labels)
    if issue:
        return f"{case.label.name} {issue}"
    # Labels are read in LPS orientation, so grids are compared by their bounding boxes.
    if not any(_has_same_voxels(grid, other) for other in grids):
        return (
            f"{case.label.name} lies on another grid ({grid.describe()}) than any of its images "
            f"({grids[0].describe()}); resample it onto theirs."
        )
    return None


def _has_same_voxels(a: Grid, b: Grid) -> bool:
    corners = [np.sort(np.round(grid.corners(), 2), axis=0) for grid in (a, b)]
    return sorted(a.size) == sorted(b.size) and bool(np.allclose(corners[0], corners[1], atol=0.1))
