"""Live decomposition: what is asked for is segmented by itself, and what changed is shown.

Every edit has a number; an answer to an edit that is no longer the last one is dropped.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_ciml.errors import CancelledError, CimlError
from napari_ciml.explanation.result import Explanation
from napari_ciml.inference.result import Segmentation
from napari_ciml.progress import Progress, ProgressMonitor
from napari_ciml.session.comparison import ALL, LabelMapDiff, diff_runs
from napari_ciml.session.runs import Run
from napari_ciml.widgets.display.key_bindings import REDO, UNDO
from napari_ciml.widgets.layers.run_comparison import hide_change, show_change

if TYPE_CHECKING:
    from napari_ciml.widgets.controllers.session import Session

TITLE = "Following the edit"
EXPLAINING = "Explaining the edit"

_REST = 250
"""Milliseconds without an edit after which the last one is followed."""


@dataclass(frozen=True, eq=False)
class _Answer:
    """What an edit led to."""

    segmentation: Segmentation
    change: LabelMapDiff | None


class LiveUpdate:
    """Follows edits of what is asked for.

    Parameters
    ----------
    session : Session
        Whose review is followed.

    Attributes
    ----------
    on : bool
        Whether edits are followed by themselves.
    change : Change or None
        What the last edit changed.
    shown : str or None
        Whose changed voxels are shown: a region, all of them, or none.
    """

    changed = Signal()

    def __init__(self, session: "Session") -> None:
        self.session, self.model = session, session.model
        self.on = True
        self.change: LabelMapDiff | None = None
        self.shown: str | None = ALL
        self._edit = 0
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST)
        self._timer.timeout.connect(self._rested)
        bind = session.layers.viewer.bind_key
        bind(UNDO, lambda _: self.model.undo(), overwrite=True)
        bind(REDO, lambda _: self.model.redo(), overwrite=True)
        self.model.request_changed.connect(self._edited)
        self.model.case_changed.connect(self._forget)

    def set_on(self, on: bool) -> None:
        """Follow edits or not; what was edited meanwhile is followed at once."""
        if on != self.on:
            self.on = on
            self.changed.emit()
        if on:
            self._edited()

    def set_change(self, change: LabelMapDiff | None) -> None:
        """Say what a run changed since the one before, and show it."""
        self.change = change
        self.show(self.shown)
        self.changed.emit()

    def show(self, name: str | None) -> None:
        """Show the voxels that changed in a region or in all, or none."""
        self.shown = name
        case, viewer = self.model.case, self.session.layers.viewer
        if case is None or self.change is None or name is None:
            hide_change(viewer)
        else:
            show_change(viewer, case, self.change, name)

    def restore_run(self, run: Run) -> None:
        """Show a run of the history, and ask again for what it was asked."""
        self.model.set_request(run.request)
        self.model.undo_stack.end_merge()
        self._timer.stop()
        if run is not self.model.runs.current:
            self._submit(run)

    def catch_up(self) -> None:
        """Follow what was edited while a run was under way."""
        current = self.model.runs.current
        if current is not None and not current.request.same_as(self.model.request):
            self._timer.start()

    def close(self) -> None:
        """Follow no more."""
        self._timer.stop()

    def _forget(self) -> None:
        self._edit += 1
        self.change = None
        self._timer.stop()
        self.changed.emit()

    def _edited(self) -> None:
        self._edit += 1
        self._timer.start()

    def _rested(self) -> None:
        """Follow the last edit, if there is a run to change."""
        model = self.model
        model.undo_stack.end_merge()
        if not self.on or model.runs.current is None or model.problems():
            return
        try:
            _, path = self.session.segmentation.require_ready()
        except CimlError:
            return  # the panels say so already
        from napari_ciml.network.checkpoint_info import file_hash

        current, asked = model.runs.current, model.request
        known = model.runs.find_equivalent(asked, file_hash(path), model.settings())
        if known is None and asked.equals_ignoring_slow_options(current.request):
            return  # takes many times as long: not before Segment or Sample is pressed
        if known is not current:
            self._submit(known)

    def _submit(self, known: Run | None) -> None:
        """Segment as asked, or take a run that is known, and say what changed."""
        model, edit = self.model, self._edit
        case, path = self.session.segmentation.require_ready()
        asked, before = model.request, model.runs.current
        assert before is not None
        settings, reference = model.settings(), model.findings.reference
        explained = before.explanation is not None

        def work(monitor: ProgressMonitor) -> _Answer | None:
            if self._edit != edit:
                return None
            if known is not None:
                made = known.segmentation
                return _Answer(made, diff_runs(before, made, case, reference))
            from napari_ciml.inference.segment import segment
            from napari_ciml.widgets.controllers.checkpoint_cache import load_checkpoint

            try:
                aware = replace(monitor, report=self._unless_stale(edit, monitor))
                whole, previous = asked.decomposition, before.segmentation
                checkpoint = load_checkpoint(path)
                made = segment(case, checkpoint, whole, settings, aware, previous)
            except _StaleError:
                return None
            return _Answer(made, diff_runs(before, made, case, reference))

        def done(answer: _Answer | None) -> Iterator[None]:
            if answer is None or self._edit != edit or model.case is not case:
                return
            layers = self.session.layers
            yield from layers.show_segmentation(case, answer.segmentation, stay=True)
            model.set_segmentation(answer.segmentation, known.info if known else None)
            yield
            self.set_change(answer.change)
            if explained and model.explanation is None:
                self._explain(edit)

        self.session.runner.submit(TITLE, work, done)

    def _explain(self, edit: int) -> None:
        """Let the weights follow, if there were some."""
        model = self.model
        case, path = self.session.segmentation.require_ready()
        segmentation = model.segmentation
        assert segmentation is not None

        def work(monitor: ProgressMonitor) -> Explanation | None:
            from napari_ciml.explanation.explain import explain
            from napari_ciml.widgets.controllers.checkpoint_cache import load_checkpoint

            try:
                aware = replace(monitor, report=self._unless_stale(edit, monitor))
                return explain(case, load_checkpoint(path), segmentation, aware)
            except _StaleError:
                return None

        def done(found: Explanation | None) -> None:
            if found is not None and model.segmentation is segmentation:
                model.set_explanation(found)

        self.session.runner.submit(EXPLAINING, work, done)

    def _unless_stale(self, edit: int, monitor: ProgressMonitor) -> "_Report":
        return _Report(self, edit, monitor)

    @property
    def edit(self) -> int:
        """The number of the last edit; read from the job's thread."""
        return self._edit


class _StaleError(CancelledError):
    """Nobody waits for this answer any more."""


@dataclass(frozen=True)
class _Report:
    """Reports a job's progress, and ends it when another edit has come."""

    live: LiveUpdate
    edit: int
    monitor: ProgressMonitor

    def __call__(self, progress: Progress) -> None:
        if self.live.edit != self.edit:
            raise _StaleError
        self.monitor.report(progress)
