"""How late the event loop is while the window works: what the benchmark asks of it."""

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
    """How late the event loop was, in ms at one moment every 5 ms, over so many seconds."""

    delays_ms: tuple[float, ...]
    seconds: float


class LatencyProbe(QObject):
    """A timer that notes how late it is.

    A loop that stands still for 100 ms is late for whatever comes in meanwhile, so each of the
    ticks that it misses counts: late by 100 ms, by 95 ms and so on.
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
        """Begin to listen."""
        self._due = self._clock() + TICK_MS / 1000
        self._timer.start()

    def stop(self) -> None:
        """End listening; what is late by now counts."""
        self._timer.stop()
        self.tick()

    def tick(self) -> None:
        """Note how late the moments are that have passed since the last tick."""
        now = self._clock()
        while self._due <= now:
            self.delays_ms.append(1000 * (now - self._due))
            self._due += TICK_MS / 1000


def measure_segmentation(case: Path, checkpoint: Path) -> LatencySamples:
    """Open a case in a viewer with all dock widgets, segment it, and listen to the event loop.

    Raises
    ------
    CimlError
        If it cannot be opened or segmented.
    """
    desk = add_dock_widgets(napari.Viewer(title="napari-ciml"))
    model = desk.session.model
    model.set_device("auto")
    model.set_checkpoint(checkpoint)
    if model.info is not None:
        model.set_decomposition(model.info.decomposition)
    desk.run_and_wait(lambda: desk.session.cases.open(case))
    heard = measure_latency(desk, desk.session.segmentation.segment)
    desk.viewer.close()
    return heard


def measure_latency(desk: Workbench, intent: Callable[[], None]) -> LatencySamples:
    """Ask for something and listen to the event loop until nothing runs any more.

    Raises
    ------
    CimlError
        If it fails.
    """
    runner, probe, loop = desk.session.jobs.main, LatencyProbe(), QEventLoop()
    failures: list[str] = []

    def failed(sentence: str, details: str) -> None:
        failures.append(" ".join(filter(None, (sentence, details))))

    runner.failed.connect(failed)
    runner.idle.connect(loop.quit)
    begin = time.perf_counter()
    probe.start()
    intent()
    loop.exec()
    probe.stop()
    seconds = time.perf_counter() - begin
    runner.idle.disconnect(loop.quit)
    runner.failed.disconnect(failed)
    if failures:
        raise CimlError(failures[0])
    return LatencySamples(tuple(probe.delays_ms), seconds)
