"""Latency of the event loop while a job runs, for the benchmark."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import napari
from qtpy.QtCore import QEventLoop, QObject, Qt, QTimer

from napari_ciml.errors import CimlError
from napari_ciml.widgets.workbench import Workbench, add_dock_widgets

TICK_MS = 5.0


class LatencySamples(NamedTuple):
    """Delays of the event loop in ms, one per 5 ms tick, and the duration in seconds."""

    delays_ms: tuple[float, ...]
    seconds: float


class LatencyProbe(QObject):
    """Timer that records its own delays.

    If the loop is blocked for 100 ms, every missed tick counts: delayed by 100 ms, 95 ms and so on.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__()
        self.delays_ms: list[float] = []
        self._clock = clock
        self._due = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(int(TICK_MS))
        self._timer.timeout.connect(self.tick)

    def start(self) -> None:
        """Start recording."""
        self._due = self._clock() + TICK_MS / 1000
        self._timer.start()

    def stop(self) -> None:
        """Stop recording; the current delay counts."""
        self._timer.stop()
        self.tick()

    def tick(self) -> None:
        """Record the delays of the ticks that were due since the last call."""
        now = self._clock()
        while self._due <= now:
            self.delays_ms.append(1000 * (now - self._due))
            self._due += TICK_MS / 1000


def measure_segmentation(case: Path, checkpoint: Path) -> LatencySamples:
    """Measure the latency while a case is segmented in a viewer with all dock widgets.

    Raises
    ------
    CimlError
        If it cannot be opened or segmented.
    """
    workbench = add_dock_widgets(napari.Viewer(title="napari-ciml"))
    model = workbench.session.model
    model.set_device("auto")
    model.set_checkpoint(checkpoint)
    if model.info is not None:
        model.set_decomposition(model.info.decomposition)
    workbench.run_and_wait(lambda: workbench.session.cases.open(case))
    samples = measure_latency(workbench, workbench.session.segmentation.segment)
    workbench.viewer.close()
    return samples


def measure_latency(workbench: Workbench, intent: Callable[[], None]) -> LatencySamples:
    """Measure the latency from calling an intent until no job runs.

    Raises
    ------
    CimlError
        If it fails.
    """
    runner, probe, loop = workbench.session.jobs.main, LatencyProbe(), QEventLoop()
    failures: list[str] = []

    def on_failed(sentence: str, details: str) -> None:
        failures.append(" ".join(filter(None, (sentence, details))))

    runner.failed.connect(on_failed)
    runner.idle.connect(loop.quit)
    start = time.perf_counter()
    probe.start()
    intent()
    loop.exec()
    probe.stop()
    seconds = time.perf_counter() - start
    runner.idle.disconnect(loop.quit)
    runner.failed.disconnect(on_failed)
    if failures:
        raise CimlError(failures[0])
    return LatencySamples(tuple(probe.delays_ms), seconds)
