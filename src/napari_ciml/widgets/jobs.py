"""Background jobs: queues with a thread each; nothing blocks the window.

This is the only module of the package that starts threads for the window and that has Qt signals
beside those of widgets. A background job waits until nothing else is asked for, and gives way when
something is.
"""

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Signal

from napari_ciml.errors import CancelledError, CimlError
from napari_ciml.progress import Progress, ProgressMonitor
from napari_ciml.session.generation import Generation
from napari_ciml.widgets.event_loop import call_later

_REPORT_EVERY = 0.2
"""Seconds. Whatever changes in a window with a canvas, all of the window is composed anew: without
a graphics card that takes a processor a tenth of a second."""

_CLOSE_WITHIN = 5.0

Steps = Iterator[None] | None
"""What showing a result returns: None, or steps that each take a turn of the event loop."""

Result = TypeVar("Result")


class _StopFlag(Event):
    """Set when the job is cancelled, or when its generation is no longer current."""

    def __init__(self, generation: Generation | None) -> None:
        super().__init__()
        self.generation = generation

    @property
    def is_stale(self) -> bool:
        """Whether what the job was submitted for has changed."""
        return self.generation is not None and not self.generation.is_current

    def is_set(self) -> bool:
        """Whether the job has to stop."""
        return super().is_set() or self.is_stale


@dataclass
class Job:
    """Work for a queue.

    Parameters
    ----------
    title : str
        Shown to the user ("Segmenting").
    work : callable
        Takes a `ProgressMonitor` and returns the result; runs in a thread, so it touches neither
        layers nor widgets.
    done : callable
        Takes the result, on the GUI thread. If it is a generator, each of its steps has a turn
        of the event loop to itself.
    stop : _StopFlag
        Knows the job's generation.
    background : bool
        Runs only while nothing else is asked for, and begins again when it had to give way.
    """

    title: str
    work: Callable[[ProgressMonitor], Any]
    done: Callable[[Any], Steps]
    stop: _StopFlag = field(default_factory=lambda: _StopFlag(None))
    background: bool = False
    preempted: bool = False

    def again(self) -> "Job":
        """Return the same job, not yet begun."""
        stop = _StopFlag(self.stop.generation)
        return Job(self.title, self.work, self.done, stop, self.background)


@dataclass(frozen=True)
class _Outcome:
    """The result of a job, or its error."""

    result: Any = None
    error: BaseException | None = None
    details: str = ""


class JobRunner(QObject):
    """A queue: runs jobs one after the other in a thread; signals arrive on the GUI thread.

    Signals
    -------
    started(str)
        Title of the job that begins.
    queued(str, int)
        Title of a job that waits, and its position in the queue.
    progressed(str, int, int)
        Stage in words, steps done, steps in all (0: not known).
    notified(str)
        A notice for the user.
    failed(str, str)
        One sentence, and a traceback if the error was unexpected.
    cancelled(str)
        Title of the job that was cancelled.
    idle()
        Nothing runs and nothing waits.
    """

    started = Signal(str)
    queued = Signal(str, int)
    progressed = Signal(str, int, int)
    notified = Signal(str)
    failed = Signal(str, str)
    cancelled = Signal(str)
    idle = Signal()
    _ended = Signal(object, object)
    _posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[Job] = deque()
        self._background: deque[Job] = deque()
        self._running: Job | None = None
        self._thread: Thread | None = None
        self._closed = False
        self._ended.connect(self._finish)
        self._posted.connect(self._call)

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._running is not None or bool(self._waiting) or bool(self._background)

    def submit(
        self,
        title: str,
        work: Callable[[ProgressMonitor], Result],
        done: Callable[[Result], Steps],
        *,
        generation: Generation | None = None,
        background: bool = False,
    ) -> None:
        """Put a job at the end of the queue.

        Parameters
        ----------
        title, work, done, background
            As of `Job`.
        generation : Generation, optional
            Once it is no longer current, the job is stopped at its next report of progress, or not
            begun, and its result is dropped without a signal.
        """
        if self._closed:
            return
        queue = self._background if background else self._waiting
        queue.append(Job(title, work, done, _StopFlag(generation), background))
        running = self._running
        if running is None:
            self._begin()
        elif not background and running.background:
            running.preempted = True
            running.stop.set()
        elif not background:
            self.queued.emit(title, len(self._waiting))

    def cancel(self) -> None:
        """Ask the running job to stop, and drop those that wait."""
        self._waiting.clear()
        self._background.clear()
        if self._running is not None:
            self._running.preempted = False
            self._running.stop.set()

    def call_in_gui(self, function: Callable[[], None]) -> None:
        """Call a function on the GUI thread, soon; may be called from a job's thread."""
        self._emit(self._posted, function)

    def close(self) -> None:
        """Cancel everything and wait shortly for the thread; no signal follows."""
        self._closed = True
        self.cancel()
        if self._thread is not None:
            self._thread.join(_CLOSE_WITHIN)
        self._running = None

    def _begin(self) -> None:
        """Begin the next job that is not stale."""
        while self._waiting or self._background:
            job = (self._waiting or self._background).popleft()
            if not job.stop.is_stale:
                break
        else:
            self._running = None
            self.idle.emit()
            return
        self._running = job
        self.started.emit(job.title)
        self._thread = Thread(target=self._run, args=(job,), name="ciml-job", daemon=True)
        self._thread.start()

    def _run(self, job: Job) -> None:
        try:
            outcome = _Outcome(job.work(self._monitor(job)))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the user is told
            outcome = _Outcome(error=error, details=traceback.format_exc())
        self._emit(self._ended, job, outcome)

    def _monitor(self, job: Job) -> ProgressMonitor:
        stage, reported = "", 0.0

        def report(progress: Progress) -> None:
            nonlocal stage, reported
            now = time.monotonic()
            if progress.stage != stage or now - reported > _REPORT_EVERY:
                stage, reported = progress.stage, now
                self._emit(self.progressed, progress.stage, progress.done, progress.total)

        return ProgressMonitor(report, lambda text: self._emit(self.notified, text), job.stop)

    def _emit(self, signal: Any, *values: object) -> None:
        if not self._closed:
            signal.emit(*values)

    def _call(self, function: Callable[[], None]) -> None:
        if not self._closed:
            function()

    def _finish(self, job: Job, outcome: _Outcome) -> None:
        """Show the result, or say why there is none. The one place that drops stale results."""
        if self._closed:
            return
        cancelled = isinstance(outcome.error, CancelledError)
        if job.stop.is_stale:
            self._begin()
        elif job.preempted and cancelled:
            self._background.appendleft(job.again())
            self._begin()
        elif cancelled or (job.stop.is_set() and not job.preempted):
            self.cancelled.emit(job.title)
            self._begin()
        elif outcome.error is not None:
            self._fail(job, outcome.error, outcome.details)
            self._begin()
        else:
            self._show(job, lambda: job.done(outcome.result))

    def _show(self, job: Job, step: Callable[[], Steps]) -> None:
        """Take one step of showing a result; what is left of it gets the next turn."""
        if self._closed:
            return
        try:
            steps = step()
        except Exception as error:  # noqa: BLE001 - showing a result can fail as well
            self._fail(job, error, traceback.format_exc())
            steps = None
        if steps is None:
            self._begin()
        else:
            call_later(lambda: self._show(job, lambda: _advanced(steps)))

    def _fail(self, job: Job, error: BaseException, details: str) -> None:
        if isinstance(error, CimlError):
            self.failed.emit(str(error), "")
        else:
            kind = type(error).__name__
            self.failed.emit(f"{job.title} failed unexpectedly ({kind}).", details)


class Jobs:
    """The queues of a viewer; each has a thread of its own.

    Attributes
    ----------
    main : JobRunner
        What needs the device or replaces what is shown: reading cases, segmenting, explaining,
        saving and opening sessions. One after the other.
    io : JobRunner
        What must not wait behind a run: autosaves, label map files, maps and uncertainty brought
        onto the case grid.
    measure : JobRunner
        Lesions and comparisons of the active label map.
    training : JobRunner
        Fine-tuning.
    """

    def __init__(self) -> None:
        self.main, self.io = JobRunner(), JobRunner()
        self.measure, self.training = JobRunner(), JobRunner()

    @property
    def all(self) -> tuple[JobRunner, ...]:
        """All queues."""
        return self.main, self.io, self.measure, self.training

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits, but for fine-tuning."""
        return any(runner.busy for runner in (self.main, self.io, self.measure))

    def close(self) -> None:
        """Stop all jobs; nothing can be submitted any more."""
        for runner in self.all:
            runner.close()


def _advanced(steps: Iterator[None]) -> Steps:
    """Take one step of an iterator; return it if there may be more."""
    try:
        next(steps)
    except StopIteration:
        return None
    return steps
