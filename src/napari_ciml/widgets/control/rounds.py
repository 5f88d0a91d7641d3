"""The controller of a worklist: going from case to case, saving first, preparing the next one."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_ciml.cases.case import Case, load_case
from napari_ciml.cases.scan import Scan, scan
from napari_ciml.errors import CimlError, InputError
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.monitor import Monitor
from napari_ciml.saved.models import FILE
from napari_ciml.saved.volumes import digest
from napari_ciml.whatif.asked import Asked
from napari_ciml.widgets.control.checkpoints import load_checkpoint
from napari_ciml.widgets.control.leaving import OPENING
from napari_ciml.widgets.control.reopening import Reopened, put_back, read, release_saved
from napari_ciml.widgets.control.session import Session
from napari_ciml.worklist import Standing, Worklist, open_worklist

if TYPE_CHECKING:
    from napari_ciml.saved.state import State

AHEAD, FINDING = "Preparing the next case", "Looking for cases"


@dataclass(frozen=True)
class _Ready:
    """The next case, read from its saved session; good until another one is saved there."""

    folder: Path
    written: int
    found: Reopened


class Rounds(QObject):
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
        self.ahead = True
        self._opening: int | None = None
        self._scan: Scan | None = None
        self._tried: set[int] = set()
        self._ready: _Ready | None = None
        review = session.review
        review.case_changed.connect(self._arrived)
        review.segmentation_changed.connect(self._segmented)
        review.exported.connect(self._exported)
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
        if self.current is None or self.session.review.case is None:
            self._open(worklist, index)
            return
        left, folder = self.current, worklist.session(self.current)

        def saved(state: "State") -> None:
            release_saved(self.session, state)
            self._note(worklist, left, state)
            self._open(worklist, index)

        self.session.leaving.save(folder, saved)

    def step(self, by: int) -> None:
        """Go on by some cases; errors as `go`."""
        self.go((-1 if self.current is None else self.current) + by)

    def set_ahead(self, ahead: bool) -> None:
        """Prepare the next case ahead of time, or not."""
        self.ahead = ahead
        if ahead and not self.session.runner.busy:
            self._prepare_next()

    def _open(self, worklist: Worklist, index: int) -> None:
        self._opening = index
        case, folder = worklist.cases[index], worklist.session(index)
        ready, self._ready = self._ready, None
        self._tried.clear()
        if ready is not None and ready.folder == folder and ready.written == _written(folder):
            self.session.runner.submit(
                OPENING, lambda _: ready.found, lambda found: put_back(self.session, found)
            )
        elif worklist.is_saved(index):
            self.session.leaving.open(folder)
        else:
            self.session.open(case.folder, overrides=case.files)

    def _arrived(self) -> None:
        # A case that was opened some other way is none of the worklist's; one that was aligned or
        # given a brain mask is still the same.
        if self._opening is not None or self.session.review.scan is not self._scan:
            self.current, self._opening = self._opening, None
        self._scan = self.session.review.scan
        self.changed.emit()

    def _gave_up(self, *_: object) -> None:
        self._opening = None

    def _segmented(self) -> None:
        worklist, current = self.worklist, self.current
        if worklist is not None and current is not None and self.session.review.segmentation:
            if worklist.standing(current).stage == "new":
                worklist.set_standing(current, Standing(stage="segmented"))
            self.changed.emit()

    def _exported(self, labels: np.ndarray) -> None:
        if self.worklist is not None and self.current is not None:
            done = Standing(stage="exported", exported=digest(labels))
            self.worklist.set_standing(self.current, done)
            self.changed.emit()

    def _note(self, worklist: Worklist, index: int, state: "State") -> None:
        maps = [one.labels for one in state.corrections if one.current]
        if not maps:
            # A correction that another run set aside is one all the same.
            maps = [one.labels for one in state.corrections]
            if state.current is not None:
                maps.append(state.runs[state.current].segmentation.label_map)
        worklist.saved(index, {digest(labels) for labels in maps}, bool(state.corrections))

    def _prepare_next(self) -> None:
        """Segment the next case in the background, if nobody has done so yet, and read it."""
        worklist, review = self.worklist, self.session.review
        if worklist is None or self.current is None or not self.ahead:
            return
        index, path = self.current + 1, review.checkpoint
        if index >= len(worklist.cases) or index in self._tried:
            return
        saved = worklist.is_saved(index)
        if not saved and (path is None or review.problems()):
            return
        asked, how = review.asked.plain(), review.how()
        folder = worklist.session(index)
        self._tried.add(index)

        def work(monitor: Monitor) -> _Ready:
            if not saved and path is not None:
                from napari_ciml.saved.save import save_session

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
    asked: Asked,
    how: SegmentSettings,
    monitor: Monitor,
) -> "State":
    """Load and segment a case; for a thread."""
    from napari_ciml.inference.segment import segment
    from napari_ciml.saved.state import Run, State

    found, case = _read(worklist, index, monitor)
    checkpoint = load_checkpoint(path)
    whole = asked.decomposition
    segmentation = segment(case, checkpoint, whole, asked.settings(how), monitor)
    return State(
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


def _read(worklist: Worklist, index: int, monitor: Monitor) -> tuple[Scan, Case]:
    listed = worklist.cases[index]
    found = scan(listed.folder, overrides=listed.files)
    if found.problems:
        raise InputError(f"{listed.folder}: {found.problems[0]}")
    sources = {source.modality: source for source in found.sources if source.modality}
    return found, load_case(sources, name=found.name, monitor=monitor)
