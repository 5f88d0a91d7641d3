"""The history of a case's runs; evented, no Qt, no torch."""

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
"""How many runs are kept, and of what size together; then the oldest without a name of the user's
goes."""


@dataclass(frozen=True, eq=False)
class Run:
    """One segmentation in the history of a case.

    Parameters
    ----------
    name : str
        What it is called.
    segmentation, explanation
        What came out.
    info : CheckpointInfo
        Of the checkpoint that made it.
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
        self._made = 0

    def __getitem__(self, k: int) -> Run:  # type: ignore[override]
        return self._runs[k]

    def __len__(self) -> int:
        return len(self._runs)

    def find(self, segmentation: Segmentation | None) -> Run | None:
        """Return the run that made a segmentation."""
        return next((run for run in self if run.segmentation is segmentation), None)

    def find_equivalent(
        self, asked: SegmentationRequest, checkpoint: str, settings: SegmentSettings
    ) -> Run | None:
        """Return the latest run that was asked for the same."""
        wanted = (checkpoint, settings.device, settings.engine)
        for run in reversed(self._runs):
            made, how = run.segmentation, run.segmentation.settings
            same = (made.checkpoint, how.device, how.engine) == wanted
            if same and run.request.same_as(asked):
                return run
        return None

    def add(self, segmentation: Segmentation, info: CheckpointInfo) -> None:
        """Take a new run, named after what was edited since the one before, and show it."""
        known = self.find(segmentation)
        if known is None:
            self._made += 1
            known = Run("", segmentation, None, info)
            edited = describe_changes(self.current.request, known.request) if self.current else ()
            title = "; ".join(edited[:2]) or segmentation.plan.decomposition.name
            known = replace(known, name=f"{self._made}: {title}")
            self._runs = (*self._runs, known)
        self.current = known
        self._let_go()
        self._shed()
        self.changed.emit()

    def set_explanation(self, explanation: Explanation) -> None:
        """Keep the explanation of the run that is shown."""
        if self.current is not None:
            self._replace(self.current, explanation=explanation)

    def rename(self, run: Run, name: str) -> None:
        """Give a run a name; it is kept longer than those without."""
        if name.strip() and name.strip() != run.name:
            self._replace(run, name=name.strip(), named=True)

    def restore(self, runs: Iterable[Run], current: int | None) -> None:
        """Take a whole history, as when a session is opened again or another case begins."""
        self._runs = tuple(runs)
        self._made = len(self._runs)
        self.current = None if current is None else self._runs[current]
        self.changed.emit()

    def _replace(self, run: Run, **changes: object) -> None:
        changed = replace(run, **changes)  # type: ignore[arg-type]
        self._runs = tuple(changed if other is run else other for other in self._runs)
        if self.current is run:
            self.current = changed
        self.changed.emit()

    def _let_go(self) -> None:
        """Hold messages for the newest run's what-ifs alone: they can be gigabytes."""
        newest = self.current.segmentation.cache if self.current else None
        for run in self:
            if run.segmentation.cache is not newest:
                run.segmentation.cache.clear_features()

    def _shed(self) -> None:
        while len(self) > 1 and (len(self) > self.limit or _size(self._runs) > self.bytes_limit):
            others = [run for run in self if run is not self.current]
            goes = next((run for run in others if not run.named), others[0])
            self._runs = tuple(run for run in self if run is not goes)


def _size(runs: Iterable[Run]) -> int:
    """Return the bytes of what runs hold; what several share counts once."""
    arrays = {
        id(array): array.nbytes
        for run in runs
        for array in (run.segmentation.label_map, *run.segmentation.probabilities.values())
    }
    return sum(arrays.values())
