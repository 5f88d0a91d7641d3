"""The history of the runs of a case; evented, no Qt, no torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from psygnal import Signal

from napari_ciml.explanation.result import Explanation
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.session.request import SegmentationRequest, describe_changes

LIMIT = 12
BYTES_LIMIT = 2**30
"""Number and total size of the runs that are kept; beyond, the oldest run is dropped that the user
has not named."""


@dataclass(frozen=True, eq=False)
class Run:
    """One segmentation in the history of a case.

    Parameters
    ----------
    name : str
        Number and edits since the run before, or the user's own name.
    segmentation, explanation
        Its results.
    info : CheckpointInfo
        Metadata of its checkpoint.
    named : bool
        Whether the user gave the name.
    """

    name: str
    segmentation: Segmentation
    explanation: Explanation | None
    info: CheckpointInfo
    named: bool = False

    @property
    def request(self) -> SegmentationRequest:
        """The request it is the result of."""
        return request_of(self.segmentation)


def request_of(segmentation: Segmentation) -> SegmentationRequest:
    """Return the request that a segmentation is the result of."""
    return SegmentationRequest(segmentation.plan.decomposition, segmentation.settings.options)


class RunHistory(Sequence[Run]):
    """The runs of the case that is open, oldest first.

    Attributes
    ----------
    current : Run or None
        The one that is shown.
    """

    changed = Signal()

    def __init__(self, limit: int = LIMIT, bytes_limit: int = BYTES_LIMIT) -> None:
        self._runs: tuple[Run, ...] = ()
        self.current: Run | None = None
        self.limit, self.bytes_limit = limit, bytes_limit
        self._count = 0

    def __getitem__(self, k: int) -> Run:  # type: ignore[override]
        return self._runs[k]

    def __len__(self) -> int:
        return len(self._runs)

    def find(self, segmentation: Segmentation | None) -> Run | None:
        """Return the run of a segmentation."""
        return next((run for run in self if run.segmentation is segmentation), None)

    def find_equivalent(
        self, request: SegmentationRequest, checkpoint: str, compute: SegmentSettings
    ) -> Run | None:
        """Return the latest run of the same request, checkpoint (SHA-256), device and engine."""
        target = (checkpoint, compute.device, compute.engine)
        for run in reversed(self._runs):
            settings = run.segmentation.settings
            origin = (run.segmentation.checkpoint, settings.device, settings.engine)
            if origin == target and run.request.same_as(request):
                return run
        return None

    def add(self, segmentation: Segmentation, info: CheckpointInfo) -> None:
        """Make a run the current one; a new one is named after the edits since the one before."""
        run = self.find(segmentation)
        if run is None:
            self._count += 1
            run = Run("", segmentation, None, info)
            changes = describe_changes(self.current.request, run.request) if self.current else ()
            title = "; ".join(changes[:2]) or segmentation.plan.decomposition.name
            run = replace(run, name=f"{self._count}: {title}")
            self._runs = (*self._runs, run)
        self.current = run
        self._clear_features()
        self._drop_oldest()
        self.changed.emit()

    def set_explanation(self, explanation: Explanation) -> None:
        """Set the explanation of the current run."""
        if self.current is not None:
            self._replace(self.current, explanation=explanation)

    def rename(self, run: Run, name: str) -> None:
        """Name a run; named runs are kept longer."""
        if name.strip() and name.strip() != run.name:
            self._replace(run, name=name.strip(), named=True)

    def restore(self, runs: Iterable[Run], current: int | None) -> None:
        """Replace the history, as when a session is opened again or another case is opened."""
        self._runs = tuple(runs)
        self._count = len(self._runs)
        self.current = None if current is None else self._runs[current]
        self.changed.emit()

    def _replace(self, run: Run, **changes: object) -> None:
        changed = replace(run, **changes)  # type: ignore[arg-type]
        self._runs = tuple(changed if other is run else other for other in self._runs)
        if self.current is run:
            self.current = changed
        self.changed.emit()

    def _clear_features(self) -> None:
        """Clear the cached features of all runs but the current one: they can be gigabytes."""
        newest = self.current.segmentation.cache if self.current else None
        for run in self:
            if run.segmentation.cache is not newest:
                run.segmentation.cache.clear_features()

    def _drop_oldest(self) -> None:
        while len(self) > 1 and (len(self) > self.limit or _size(self._runs) > self.bytes_limit):
            others = [run for run in self if run is not self.current]
            dropped = next((run for run in others if not run.named), others[0])
            self._runs = tuple(run for run in self if run is not dropped)


def _size(runs: Iterable[Run]) -> int:
    """Return the bytes of the arrays of runs; an array that several runs share counts once."""
    arrays = {
        id(array): array.nbytes
        for run in runs
        for array in (run.segmentation.label_map, *run.segmentation.probabilities.values())
    }
    return sum(arrays.values())
