"""The job runner: the one owner of threads. One device, one queue, nothing blocks the window.

Work in the background waits until nothing else is asked for, and gives way when something is.
"""

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_ciml.errors import CancelledError, CimlError
from napari_ciml.progress import Progress, ProgressMonitor
from napari_ciml.widgets.event_loop import call_later

_REPORT_EVERY = 0.2
"""Seconds. Whatever changes in a window with a canvas, all of the window is composed anew: without
a graphics card that takes a processor a tenth of a second."""

_CLOSE_WITHIN = 5.0

Steps = Iterator[None] | None
"""What showing a result may consist of."""


@dataclass
class Job:
    """Work for the queue.

    Parameters
    ----------
    title : str
        In the user's words ("Segmenting").
    work : callable
        Takes a `ProgressMonitor`, returns the result; runs in a thread, so it touches no layer.
    done : callable
        Takes the result, on the GUI thread. If it is a generator, each of its steps has a turn
        of the event loop to itself.
    background : bool
        Runs only while nothing else is asked for, and begins again when it had to give way.
    """

    title: str
    work: Callable[[ProgressMonitor], Any]
    done: Callable[[Any], Steps]
    background: bool = False
    preempted: bool = False
    stop: Event = field(default_factory=Event)


@dataclass(frozen=True)
class _Outcome:
    """What a job came to: a result, or an error."""

    result: Any = None
    error: BaseException | None = None
    details: str = ""


class JobRunner(QObject):
    """Runs jobs one after the other in a thread; every signal arrives on the GUI thread.

    Signals
    -------
    started(str)
        Title of the job that begins.
    queued(str, int)
        Title of a job that waits, and its place in the queue.
    progressed(str, int, int)
        Stage in words, steps done, steps in all (0: not known).
    told(str)
        A sentence the user must hear.
    failed(str, str)
        One sentence, and a traceback if it was unexpected.
    cancelled(str)
        Title of the job that was cancelled.
    idle()
        Nothing runs and nothing waits.
    """

    started = Signal(str)
    queued = Signal(str, int)
    progressed = Signal(str, int, int)
    told = Signal(str)
    failed = Signal(str, str)
    cancelled = Signal(str)
    idle = Signal()
    _ended = Signal(object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[Job] = deque()
        self._background: deque[Job] = deque()
        self._running: Job | None = None
        self._thread: Thread | None = None
        self._closed = False
        self._ended.connect(self._finish)

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._running is not None or bool(self._waiting) or bool(self._background)

    def submit(
        self,
        title: str,
        work: Callable[[ProgressMonitor], Any],
        done: Callable[[Any], Steps],
        *,
        background: bool = False,
    ) -> None:
        """Put a job at the end of the queue; see `Job` for the parameters."""
        if self._closed:
            return
        queue = self._background if background else self._waiting
        queue.append(Job(title, work, done, background))
        running = self._running
        if running is None:
            self._begin()
        elif not background and running.background:
            running.preempted = True
            running.stop.set()
        elif not background:
            self.queued.emit(title, len(self._waiting))

    def cancel(self) -> None:
        """Ask the running job to stop, and forget those that wait."""
        self._waiting.clear()
        self._background.clear()
        if self._running is not None:
            self._running.preempted = False
            self._running.stop.set()

    def close(self) -> None:
        """Cancel everything and wait shortly for the thread; no signal follows."""
        self._closed = True
        self.cancel()
        if self._thread is not None:
            self._thread.join(_CLOSE_WITHIN)
        self._running = None

    def _begin(self) -> None:
        job = self._running = (self._waiting or self._background).popleft()
        self.started.emit(job.title)
        self._thread = Thread(target=self._run, args=(job,), name="ciml-job", daemon=True)
        self._thread.start()

    def _run(self, job: Job) -> None:
        try:
            outcome = _Outcome(job.work(self._monitor(job)))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the user hears of it
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

        return ProgressMonitor(report, lambda text: self._emit(self.told, text), job.stop)

    def _emit(self, signal: Any, *values: object) -> None:
        if not self._closed:
            signal.emit(*values)

    def _finish(self, job: Job, outcome: _Outcome) -> None:
        if self._closed:
            return
        if job.preempted and isinstance(outcome.error, CancelledError):
            self._background.appendleft(Job(job.title, job.work, job.done, background=True))
        elif job.preempted and outcome.error is None:
            # It was through before it heard that it should stop.
            self._show(job, lambda: job.done(outcome.result))
            return
        elif isinstance(outcome.error, CancelledError) or job.stop.is_set():
            self.cancelled.emit(job.title)
        elif outcome.error is not None:
            self._fail(job, outcome.error, outcome.details)
        else:
            self._show(job, lambda: job.done(outcome.result))
            return
        self._next()

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
            self._next()
        else:
            call_later(lambda: self._show(job, lambda: _advanced(steps)))

    def _fail(self, job: Job, error: BaseException, details: str) -> None:
        if isinstance(error, CimlError):
            self.failed.emit(str(error), "")
        else:
            kind = type(error).__name__
            self.failed.emit(f"{job.title} failed unexpectedly ({kind}).", details)

    def _next(self) -> None:
        self._running = None
        if self._waiting or self._background:
            self._begin()
        else:
            self.idle.emit()


def _advanced(steps: Iterator[None]) -> Steps:
    """Take one step of an iterator; return it if there may be more."""
    try:
        next(steps)
    except StopIteration:
        return None
    return steps
