"""The controller of a worklist: going from case to case, saving first, preparing the next one."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_ciml.cases.case import Case, load_case
from napari_ciml.cases.discovery import DiscoveredCase, discover_volumes
from napari_ciml.errors import CimlError, InputError
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.storage.schema import FILE
from napari_ciml.session.storage.volumes import digest
from napari_ciml.session.worklist import CaseStatus, Worklist, open_worklist
from napari_ciml.widgets.controllers.checkpoint_cache import load_checkpoint
from napari_ciml.widgets.controllers.persistence import OPENING
from napari_ciml.widgets.controllers.reopening import (
    LoadedSession,
    read,
    release_saved,
    restore_session,
)
from napari_ciml.widgets.controllers.session import Session

if TYPE_CHECKING:
    from napari_ciml.session.storage.snapshot import SessionSnapshot

AHEAD, FINDING = "Preparing the next case", "Looking for cases"


@dataclass(frozen=True)
class _Ready:
    """The next case, read from its saved session; good until another one is saved there."""

    folder: Path
    written: int
    found: LoadedSession


class WorklistController(QObject):
    """Goes through the cases of a folder.

    A case that is left is saved before the next one is opened, and opened again as it was. While
    nothing else is asked for, the next case is segmented, its result put on disk, and read.

    Signals
    -------
    changed()
        Another worklist, another case, or a case stands elsewhere.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.worklist: Worklist | None = None
        self.current: int | None = None
        self.prefetch = True
        self._opening: int | None = None
        self._scan: DiscoveredCase | None = None
        self._tried: set[int] = set()
        self._ready: _Ready | None = None
        model = session.model
        model.case_changed.connect(self._arrived)
        model.segmentation_changed.connect(self._segmented)
        model.exported.connect(self._exported)
        session.runner.idle.connect(self._prepare_next)
        session.runner.failed.connect(self._gave_up)
        session.runner.cancelled.connect(self._gave_up)

    def open(self, folder: Path, place: Path | None = None) -> None:
        """Find the cases of a folder; `place` is where is kept what is known of them."""

        def found(worklist: Worklist) -> None:
            self.worklist, self.current = worklist, None
            self._tried.clear()
            self._ready = None
            self.changed.emit()

        self.session.runner.submit(
            FINDING, lambda heard: open_worklist(folder, place, heard), found
        )

    def go(self, index: int) -> None:
        """Save the case that is open, then open another one of the worklist.

        Raises
        ------
        CimlError
            If there is no such case.
        """
        worklist = self.worklist
        if worklist is None or not 0 <= index < len(worklist.cases):
            raise CimlError("There is no further case." if worklist else "Open a worklist first.")
        if self.current is None or self.session.model.case is None:
            self._open(worklist, index)
            return
        left, folder = self.current, worklist.session(self.current)

        def saved(state: "SessionSnapshot") -> None:
            release_saved(self.session, state)
            self._note(worklist, left, state)
            self._open(worklist, index)

        self.session.persistence.save(folder, saved)

    def step(self, by: int) -> None:
        """Go on by some cases; errors as `go`."""
        self.go((-1 if self.current is None else self.current) + by)

    def set_ahead(self, ahead: bool) -> None:
        """Prepare the next case ahead of time, or not."""
        self.prefetch = ahead
        if ahead and not self.session.runner.busy:
            self._prepare_next()

    def _open(self, worklist: Worklist, index: int) -> None:
        self._opening = index
        case, folder = worklist.cases[index], worklist.session(index)
        ready, self._ready = self._ready, None
        self._tried.clear()
        if ready is not None and ready.folder == folder and ready.written == _written(folder):
            self.session.runner.submit(
                OPENING, lambda _: ready.found, lambda found: restore_session(self.session, found)
            )
        elif worklist.is_saved(index):
            self.session.persistence.open(folder)
        else:
            self.session.open(case.folder, overrides=case.files)

    def _arrived(self) -> None:
        # A case that was opened some other way is none of the worklist's; one that was aligned or
        # given a brain mask is still the same.
        if self._opening is not None or self.session.model.discovered is not self._scan:
            self.current, self._opening = self._opening, None
        self._scan = self.session.model.discovered
        self.changed.emit()

    def _gave_up(self, *_: object) -> None:
        self._opening = None

    def _segmented(self) -> None:
        worklist, current = self.worklist, self.current
        if worklist is not None and current is not None and self.session.model.segmentation:
            if worklist.status(current).stage == "new":
                worklist.set_status(current, CaseStatus(stage="segmented"))
            self.changed.emit()

    def _exported(self, labels: np.ndarray) -> None:
        if self.worklist is not None and self.current is not None:
            done = CaseStatus(stage="exported", exported=digest(labels))
            self.worklist.set_status(self.current, done)
            self.changed.emit()

    def _note(self, worklist: Worklist, index: int, state: "SessionSnapshot") -> None:
        maps = [one.labels for one in state.corrections if one.current]
        if not maps:
            # A correction that another run set aside is one all the same.
            maps = [one.labels for one in state.corrections]
            if state.current is not None:
                maps.append(state.runs[state.current].segmentation.label_map)
        worklist.record_save(index, {digest(labels) for labels in maps}, bool(state.corrections))

    def _prepare_next(self) -> None:
        """Segment the next case in the background, if nobody has done so yet, and read it."""
        worklist, model = self.worklist, self.session.model
        if worklist is None or self.current is None or not self.prefetch:
            return
        index, path = self.current + 1, model.checkpoint
        if index >= len(worklist.cases) or index in self._tried:
            return
        saved = worklist.is_saved(index)
        if not saved and (path is None or model.problems()):
            return
        asked, how = model.request.without_tuning(), model.compute_settings()
        folder = worklist.session(index)
        self._tried.add(index)

        def work(monitor: ProgressMonitor) -> _Ready:
            if not saved and path is not None:
                from napari_ciml.session.storage.write import save_session

                state = _prepared(worklist, index, path, asked, how, monitor)
                save_session(folder, state, monitor)
            written = _written(folder)
            return _Ready(folder, written, read(folder, monitor))

        def done(ready: _Ready) -> None:
            if not saved:
                self._note(worklist, index, ready.found.state)
            if self.worklist is worklist and self.current == index - 1:
                self._ready = ready
            self.changed.emit()

        self.session.runner.submit(AHEAD, work, done, background=True)


def _written(folder: Path) -> int:
    """Return when the session in a folder was written, in ns."""
    return (folder / FILE).stat().st_mtime_ns


def _prepared(
    worklist: Worklist,
    index: int,
    path: Path,
    asked: SegmentationRequest,
    how: SegmentSettings,
    monitor: ProgressMonitor,
) -> "SessionSnapshot":
    """Load and segment a case; for a thread."""
    from napari_ciml.inference.segment import segment
    from napari_ciml.session.storage.snapshot import Run, SessionSnapshot

    found, case = _read(worklist, index, monitor)
    checkpoint = load_checkpoint(path)
    whole = asked.decomposition
    segmentation = segment(case, checkpoint, whole, asked.settings(how), monitor)
    return SessionSnapshot(
        scan=found,
        modalities=tuple(source.modality for source in found.sources),
        case=case,
        asked=asked,
        checkpoint=path,
        device=how.device,
        engine=how.engine,
        runs=[Run(whole.name, segmentation, None, checkpoint.info)],
        current=0,
        corrections=[],
    )


def _read(worklist: Worklist, index: int, monitor: ProgressMonitor) -> tuple[DiscoveredCase, Case]:
    listed = worklist.cases[index]
    found = discover_volumes(listed.folder, overrides=listed.files)
    if found.problems:
        raise InputError(f"{listed.folder}: {found.problems[0]}")
    sources = {source.modality: source for source in found.sources if source.modality}
    return found, load_case(sources, name=found.name, monitor=monitor)
