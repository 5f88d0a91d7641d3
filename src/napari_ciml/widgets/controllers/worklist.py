"""Go through the cases of a folder: save, open the next one, prepare the one after it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from psygnal import Signal

from napari_ciml.cases.case import Case, load_case
from napari_ciml.cases.discovery import DiscoveredCase, discover_volumes
from napari_ciml.errors import CimlError, InputError
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.runs import Run
from napari_ciml.session.storage.schema import FILE
from napari_ciml.session.storage.snapshot import SessionSnapshot
from napari_ciml.session.storage.volumes import digest
from napari_ciml.session.worklist import CaseStatus, Worklist, open_worklist
from napari_ciml.widgets.controllers.case_loading import CaseController
from napari_ciml.widgets.controllers.checkpoint_cache import load_checkpoint
from napari_ciml.widgets.controllers.context import Context
from napari_ciml.widgets.controllers.persistence import (
    OPENING,
    LoadedSession,
    PersistenceController,
    read_session,
)

PREFETCHING, LISTING = "Preparing the next case", "Listing the cases"


@dataclass(frozen=True)
class _Prefetched:
    """The next case, read from its saved session; valid until that is written again.

    Parameters
    ----------
    folder : pathlib.Path
        Of the session.
    written : int
        When the session was written, in ns.
    loaded : LoadedSession
        The session.
    """

    folder: Path
    written: int
    loaded: LoadedSession


@dataclass(frozen=True)
class _PrefetchJob:
    """What is needed to segment a case of the worklist in a thread."""

    worklist: Worklist
    index: int
    checkpoint: Path
    request: SegmentationRequest
    compute: SegmentSettings

    def run(self, monitor: ProgressMonitor) -> SessionSnapshot:
        """Load and segment the case."""
        from napari_ciml.inference.segment import segment

        discovered, case = self._load(monitor)
        checkpoint = load_checkpoint(self.checkpoint)
        decomposition = self.request.decomposition
        settings = self.request.settings(self.compute)
        segmentation = segment(case, checkpoint, decomposition, settings, monitor)
        return SessionSnapshot(
            discovered=discovered,
            modalities=tuple(source.modality for source in discovered.sources),
            case=case,
            request=self.request,
            checkpoint=self.checkpoint,
            device=self.compute.device,
            engine=self.compute.engine,
            runs=[Run(decomposition.name, segmentation, None, checkpoint.info)],
            current=0,
            corrections=[],
        )

    def _load(self, monitor: ProgressMonitor) -> tuple[DiscoveredCase, Case]:
        listed = self.worklist.cases[self.index]
        discovered = discover_volumes(listed.folder, overrides=listed.files)
        if discovered.problems:
            raise InputError(f"{listed.folder}: {discovered.problems[0].text}")
        sources = {source.modality: source for source in discovered.sources if source.modality}
        return discovered, load_case(sources, name=discovered.name, monitor=monitor)


class WorklistController:
    """Goes through the cases of a folder.

    A case that is left is saved before the next one is opened, and opened again as it was. While
    nothing else is asked for, the next case is segmented, saved and read.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    cases : CaseController
        Opens a case.
    persistence : PersistenceController
        Saves and opens sessions.

    Attributes
    ----------
    worklist : Worklist or None
        The cases and their status.
    current : int or None
        Index of the open case; None if it is none of the worklist.
    prefetch : bool
        Whether the next case is prepared in the background.

    Signals
    -------
    changed()
        Another worklist, another case, or another status.
    """

    changed = Signal()

    def __init__(
        self, context: Context, cases: CaseController, persistence: PersistenceController
    ) -> None:
        self.model, self.jobs = context.model, context.jobs
        self.cases, self.persistence = cases, persistence
        self.worklist: Worklist | None = None
        self.current: int | None = None
        self.prefetch = True
        self._opening: int | None = None
        self._discovered: DiscoveredCase | None = None
        self._attempted: set[int] = set()
        self._prefetched: _Prefetched | None = None
        self.model.case_changed.connect(self._on_case)
        self.model.segmentation_changed.connect(self._on_segmentation)
        self.model.exported.connect(self._on_export)
        main = self.jobs.main
        main.idle.connect(self._prefetch_next)
        main.failed.connect(self._on_failure)
        main.cancelled.connect(self._on_failure)

    def open(self, folder: Path, state_folder: Path | None = None) -> None:
        """List the cases of a folder; their status and sessions are kept in ``state_folder``."""

        def done(worklist: Worklist) -> None:
            self.worklist, self.current = worklist, None
            self._attempted.clear()
            self._prefetched = None
            self.changed.emit()

        self.jobs.main.submit(
            LISTING, lambda monitor: open_worklist(folder, state_folder, monitor), done
        )

    def go(self, index: int) -> None:
        """Save the open case, then open another one of the worklist.

        Raises
        ------
        CimlError
            If there is no such case.
        """
        worklist = self.worklist
        if worklist is None or not 0 <= index < len(worklist.cases):
            raise CimlError("There is no further case." if worklist else "Open a worklist first.")
        if self.current is None or self.model.case is None:
            self._open(worklist, index)
            return
        left, folder = self.current, worklist.session(self.current)

        def done(snapshot: SessionSnapshot) -> None:
            self.persistence.release_saved(snapshot)
            _record_save(worklist, left, snapshot)
            self._open(worklist, index)

        self.persistence.save(folder, done)

    def step(self, by: int) -> None:
        """Go on by a number of cases; errors as of `go`."""
        self.go((-1 if self.current is None else self.current) + by)

    def set_prefetch(self, prefetch: bool) -> None:
        """Prepare the next case in the background, or not."""
        self.prefetch = prefetch
        if prefetch and not self.jobs.main.busy:
            self._prefetch_next()

    def _open(self, worklist: Worklist, index: int) -> None:
        self._opening = index
        case, folder = worklist.cases[index], worklist.session(index)
        prefetched, self._prefetched = self._prefetched, None
        self._attempted.clear()
        if prefetched is not None and (prefetched.folder, prefetched.written) == (
            folder,
            _time_written(folder),
        ):
            loaded = prefetched.loaded
            self.jobs.main.submit(OPENING, lambda _: loaded, self.persistence.restore)
        elif worklist.is_saved(index):
            self.persistence.open(folder)
        else:
            self.cases.open(case.folder, overrides=case.files)

    def _on_case(self) -> None:
        # A case that was opened some other way is none of the worklist's; one that was aligned or
        # given a brain mask is still the same.
        discovered = self.model.sources.discovered
        if self._opening is not None or discovered is not self._discovered:
            self.current, self._opening = self._opening, None
        self._discovered = discovered
        self.changed.emit()

    def _on_failure(self, *_: object) -> None:
        self._opening = None

    def _on_segmentation(self) -> None:
        worklist, current = self.worklist, self.current
        if worklist is not None and current is not None and self.model.segmentation:
            if worklist.status(current).stage == "new":
                worklist.set_status(current, CaseStatus(stage="segmented"))
            self.changed.emit()

    def _on_export(self, labels: np.ndarray) -> None:
        if self.worklist is not None and self.current is not None:
            status = CaseStatus(stage="exported", exported=digest(labels))
            self.worklist.set_status(self.current, status)
            self.changed.emit()

    def _prefetch_next(self) -> None:
        """Segment the next case in the background, unless that was done, and read it."""
        worklist, model = self.worklist, self.model
        if worklist is None or self.current is None or not self.prefetch:
            return
        index, checkpoint = self.current + 1, model.checkpoint
        if index >= len(worklist.cases) or index in self._attempted:
            return
        job: _PrefetchJob | None = None
        if not worklist.is_saved(index):
            if checkpoint is None or model.problems():
                return
            request, compute = model.request.without_tuning(), model.compute_settings()
            job = _PrefetchJob(worklist, index, checkpoint, request, compute)
        folder = worklist.session(index)
        self._attempted.add(index)

        def work(monitor: ProgressMonitor) -> _Prefetched:
            if job is not None:
                from napari_ciml.session.storage.write import save_session

                save_session(folder, job.run(monitor), monitor)
            return _Prefetched(folder, _time_written(folder), read_session(folder, monitor))

        def done(prefetched: _Prefetched) -> None:
            if job is not None:
                _record_save(worklist, index, prefetched.loaded.snapshot)
            if self.worklist is worklist and self.current == index - 1:
                self._prefetched = prefetched
            self.changed.emit()

        self.jobs.main.submit(PREFETCHING, work, done, background=True)


def _record_save(worklist: Worklist, index: int, snapshot: SessionSnapshot) -> None:
    """Note in the worklist which label maps of a case were saved, and whether one was edited."""
    maps = [one.labels for one in snapshot.corrections if one.current]
    if not maps:
        # A correction that another run set aside is one all the same.
        maps = [one.labels for one in snapshot.corrections]
        if snapshot.current is not None:
            maps.append(snapshot.runs[snapshot.current].segmentation.label_map)
    worklist.record_save(index, {digest(labels) for labels in maps}, bool(snapshot.corrections))


def _time_written(folder: Path) -> int:
    """Return when the session in a folder was written, in ns."""
    return (folder / FILE).stat().st_mtime_ns
