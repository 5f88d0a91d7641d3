"""Segment the open case, on request and, if live, after every edit."""

from collections.abc import Iterator
from typing import NamedTuple

from psygnal import Signal

from napari_ciml.cases.case import Case
from napari_ciml.errors import CimlError
from napari_ciml.inference.result import Segmentation
from napari_ciml.network.checkpoint_info import file_hash
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.comparison import ALL, LabelMapDiff, diff_runs
from napari_ciml.session.runs import Run
from napari_ciml.widgets.controllers.checkpoint_cache import load_checkpoint
from napari_ciml.widgets.controllers.context import Context
from napari_ciml.widgets.controllers.explanation import ExplanationController
from napari_ciml.widgets.display.key_bindings import REDO, UNDO
from napari_ciml.widgets.event_loop import DelayedCall
from napari_ciml.widgets.layers.run_comparison import hide_change, show_change

SEGMENTING, FOLLOWING = "Segmenting", "Following the edit"

_REST = 250
"""Milliseconds without an edit after which the last one is followed."""


class _Answer(NamedTuple):
    """The result of a run, and its difference to the run before."""

    segmentation: Segmentation
    change: LabelMapDiff | None


class SegmentationController:
    """Runs the network on request.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    """

    def __init__(self, context: Context) -> None:
        self.model, self.layers, self.jobs = context.model, context.layers, context.jobs
        self.model.segmentation_arrived.connect(self._draw)

    def segment(self) -> None:
        """Segment the case as requested.

        Raises
        ------
        CimlError
            If case or checkpoint is missing, or the request cannot be run.
        """
        model = self.model
        case, path = model.require_ready()
        decomposition, settings = model.decomposition, model.settings()
        before, previous = model.runs.current, model.segmentation
        reference = model.findings.reference

        def work(monitor: ProgressMonitor) -> _Answer:
            monitor.step("Loading the checkpoint")
            checkpoint = load_checkpoint(path)
            from napari_ciml.inference.segment import segment

            result = segment(case, checkpoint, decomposition, settings, monitor, previous)
            return _Answer(result, diff_runs(before, result, case, reference))

        def done(answer: _Answer) -> Iterator[None]:
            return model.commit_segmentation(*answer)

        self.jobs.main.submit(SEGMENTING, work, done, generation=model.generations.case.now())

    def _draw(self, case: Case, segmentation: Segmentation, keep_view: bool) -> Iterator[None]:
        return self.layers.show_segmentation(case, segmentation, stay=keep_view)


class LiveUpdate:
    """Segments again after every edit of the request, and shows what changed.

    An edit is followed once no further edit has come for a moment. A job that follows an edit is
    stopped, and its result dropped, when there is another edit.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    explanation : ExplanationController
        Explains the new segmentation, if the one before was explained.

    Attributes
    ----------
    on : bool
        Whether edits are followed.
    shown : str or None
        Region whose changed voxels are shown, `ALL`, or None.

    Signals
    -------
    changed()
        One of them, or the change of the model, is another one.
    """

    changed = Signal()

    def __init__(self, context: Context, explanation: ExplanationController) -> None:
        self.model, self.layers, self.jobs = context.model, context.layers, context.jobs
        self.explanation = explanation
        self.on = True
        self.shown: str | None = ALL
        self._rest = DelayedCall(_REST, self.follow_edit)
        bind = self.layers.viewer.bind_key
        bind(UNDO, lambda _: self.model.undo(), overwrite=True)
        bind(REDO, lambda _: self.model.redo(), overwrite=True)
        self.model.request_changed.connect(self._rest.start)
        self.model.case_changed.connect(self._rest.stop)
        self.model.segmentation_changed.connect(self._catch_up)
        self.model.change_changed.connect(self._show_change)

    @property
    def pending(self) -> bool:
        """Whether an edit waits to be followed."""
        return self._rest.pending

    def set_on(self, on: bool) -> None:
        """Follow edits or not; with ``on``, also the edits made meanwhile."""
        if on != self.on:
            self.on = on
            self.changed.emit()
        if on:
            self.model.generations.request.advance()
            self._rest.start()

    def show(self, name: str | None) -> None:
        """Show the voxels that changed in a region or in `ALL`, or none."""
        self.shown = name
        case, viewer, change = self.model.case, self.layers.viewer, self.model.change
        if case is None or change is None or name is None:
            hide_change(viewer)
        else:
            show_change(viewer, case, change, name)

    def restore_run(self, run: Run) -> None:
        """Show a run of the history, and make its request the present one."""
        self.model.set_request(run.request)
        self.model.undo_stack.end_merge()
        self._rest.stop()
        if run is not self.model.runs.current:
            self._submit(run)

    def follow_edit(self) -> None:
        """Segment as requested now, if there is a run to start from and it does not take long."""
        model = self.model
        model.undo_stack.end_merge()
        current, request = model.runs.current, model.request
        if not self.on or current is None or model.problems():
            return
        try:
            _, path = model.require_ready()
        except CimlError:
            return  # the docks say so already
        equivalent = model.runs.find_equivalent(request, file_hash(path), model.settings())
        if equivalent is None and request.equals_ignoring_slow_options(current.request):
            return  # takes many times as long: not before Segment or Sample is pressed
        if equivalent is not current:
            self._submit(equivalent)

    def close(self) -> None:
        """Follow no more edits."""
        self._rest.stop()

    def _submit(self, equivalent: Run | None) -> None:
        """Segment as requested, or take the result of an equivalent run, and compare."""
        model = self.model
        case, path = model.require_ready()
        decomposition, settings = model.decomposition, model.settings()
        before, reference = model.runs.current, model.findings.reference
        assert before is not None
        explained = before.explanation is not None

        def work(monitor: ProgressMonitor) -> _Answer:
            if equivalent is not None:
                result = equivalent.segmentation
            else:
                from napari_ciml.inference.segment import segment

                checkpoint, previous = load_checkpoint(path), before.segmentation
                result = segment(case, checkpoint, decomposition, settings, monitor, previous)
            return _Answer(result, diff_runs(before, result, case, reference))

        def done(answer: _Answer) -> Iterator[None]:
            info = equivalent.info if equivalent else None
            yield from model.commit_segmentation(*answer, info, keep_view=True)
            if explained and model.explanation is None:
                self.explanation.explain_edit()

        self.jobs.main.submit(FOLLOWING, work, done, generation=model.generations.request.now())

    def _catch_up(self) -> None:
        """Follow what was edited while a run was under way."""
        current = self.model.runs.current
        if current is not None and not current.request.same_as(self.model.request):
            self._rest.start()

    def _show_change(self) -> None:
        self.show(self.shown)
        self.changed.emit()
