import threading

import pytest

from napari_ciml.errors import CancelledError, CimlError
from napari_ciml.progress import Progress, ProgressMonitor


def test_a_step_is_reported_with_its_place() -> None:
    seen: list[Progress] = []
    ProgressMonitor(report=seen.append).step("Reading FLAIR", 1, 4)
    ProgressMonitor(report=seen.append).step("Waiting")
    assert seen == [Progress("Reading FLAIR", 1, 4), Progress("Waiting", 0, 0)]


def test_a_step_after_stop_raises_and_reports_nothing() -> None:
    seen: list[Progress] = []
    monitor = ProgressMonitor(report=seen.append)
    monitor.raise_if_cancelled()
    monitor.stop.set()
    for ask in (lambda: monitor.step("Segmenting"), monitor.raise_if_cancelled):
        with pytest.raises(CancelledError):
            ask()
    assert seen == []


def test_sentences_are_heard_even_when_stopping() -> None:
    told: list[str] = []
    monitor = ProgressMonitor(notify=told.append)
    monitor.stop.set()
    monitor.notify("The memory of cuda is full.")
    assert told == ["The memory of cuda is full."]


def test_two_monitors_do_not_share_a_stop() -> None:
    first, second = ProgressMonitor(), ProgressMonitor()
    first.stop.set()
    second.step("goes on")


def test_stop_set_in_one_thread_ends_work_in_another() -> None:
    monitor, started, ended = ProgressMonitor(), threading.Event(), threading.Event()

    def work() -> None:
        try:
            while True:
                monitor.step("Working")
                started.set()
        except CancelledError:
            ended.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert started.wait(5)
    monitor.stop.set()
    assert ended.wait(5)
    thread.join(5)


def test_a_cancel_is_not_an_error_to_show() -> None:
    assert not issubclass(CancelledError, CimlError)
