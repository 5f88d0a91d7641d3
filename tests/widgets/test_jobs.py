from collections.abc import Callable
from threading import Event, current_thread, main_thread

import pytest
from pytestqt.qtbot import QtBot

from helpers.waiting import PATIENCE, PATIENCE_MS
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.generation import Counter
from napari_ciml.widgets.jobs import JobRunner, Jobs


@pytest.fixture
def runner(qtbot: QtBot) -> JobRunner:
    made = JobRunner()
    yield made
    made.close()


def raises(error: BaseException) -> Callable[[ProgressMonitor], None]:
    def work(_: ProgressMonitor) -> None:
        raise error

    return work


def test_work_is_done_elsewhere_and_its_result_arrives_here(
    runner: JobRunner, qtbot: QtBot
) -> None:
    seen: list[object] = []
    with qtbot.waitSignal(runner.idle, timeout=PATIENCE_MS):
        runner.submit(
            "Work", lambda _: current_thread(), lambda r: seen.extend([r, current_thread()])
        )
    assert seen[0] is not main_thread()
    assert seen[1] is main_thread()


@pytest.mark.parametrize(
    ("error", "said", "detailed"),
    [
        (InputError("a.nii: cannot be read."), "a.nii: cannot be read.", False),
        (RuntimeError("CUDA out of memory"), "Work failed unexpectedly (RuntimeError).", True),
        (MemoryError(), "Work failed unexpectedly (MemoryError).", True),
        (SystemExit(1), "Work failed unexpectedly (SystemExit).", True),
    ],
)
def test_every_failure_is_heard(
    runner: JobRunner, qtbot: QtBot, error: BaseException, said: str, detailed: bool
) -> None:
    results: list[object] = []
    with qtbot.waitSignals([runner.failed, runner.idle], timeout=PATIENCE_MS) as caught:
        runner.submit("Work", raises(error), results.append)
    sentence, details = caught.all_signals_and_args[0].args
    assert sentence == said
    assert ("Traceback" in details) == detailed
    assert results == []
    assert not runner.busy


def test_a_result_that_cannot_be_shown_is_heard_and_the_queue_goes_on(
    runner: JobRunner, qtbot: QtBot
) -> None:
    results: list[object] = []

    def fails(_: object) -> None:
        raise ValueError("no such layer")

    with qtbot.waitSignals([runner.failed, runner.idle], timeout=PATIENCE_MS) as caught:
        runner.submit("Showing", lambda _: 1, fails)
        runner.submit("next", lambda _: 2, results.append)
    sentence, details = caught.all_signals_and_args[0].args
    assert sentence == "Showing failed unexpectedly (ValueError)."
    assert "no such layer" in details
    assert results == [2]


def test_jobs_run_one_after_the_other_in_order(runner: JobRunner, qtbot: QtBot) -> None:
    go, order = Event(), []
    waiting: list[tuple[str, int]] = []
    runner.queued.connect(lambda title, place: waiting.append((title, place)))

    def first(_: ProgressMonitor) -> None:
        go.wait(PATIENCE)
        order.append("first")

    runner.submit("first", first, lambda _: order.append("first done"))
    runner.submit("second", lambda _: order.append("second"), lambda _: None)
    runner.submit("third", lambda _: order.append("third"), lambda _: None)
    assert waiting == [("second", 1), ("third", 2)]
    with qtbot.waitSignal(runner.idle, timeout=PATIENCE_MS):
        go.set()
    assert order == ["first", "first done", "second", "third"]


def test_cancel_ends_the_job_and_forgets_the_queue(runner: JobRunner, qtbot: QtBot) -> None:
    begun, results = Event(), []

    def work(monitor: ProgressMonitor) -> str:
        while True:
            begun.set()
            monitor.step("Working", 1, 2)

    runner.submit("long", work, results.append)
    runner.submit("next", lambda _: "next", results.append)
    assert begun.wait(PATIENCE)
    with qtbot.waitSignals([runner.cancelled, runner.idle], timeout=PATIENCE_MS):
        runner.cancel()
    assert results == []


def test_a_result_that_comes_after_the_cancel_is_dropped(runner: JobRunner, qtbot: QtBot) -> None:
    begun, go, results = Event(), Event(), []

    def deaf(_: ProgressMonitor) -> str:
        begun.set()
        go.wait(PATIENCE)
        return "too late"

    runner.submit("deaf", deaf, results.append)
    assert begun.wait(PATIENCE)
    with qtbot.waitSignal(runner.cancelled, timeout=PATIENCE_MS):
        runner.cancel()
        go.set()
    assert results == []


def test_closing_stops_the_work_and_silences_it(qtbot: QtBot) -> None:
    runner, ended, begun = JobRunner(), Event(), Event()

    def work(monitor: ProgressMonitor) -> None:
        try:
            while True:
                begun.set()
                monitor.step("Working")
        except CancelledError:
            ended.set()
            raise

    heard: list[str] = []
    runner.cancelled.connect(heard.append)
    runner.submit("long", work, heard.append)
    assert begun.wait(PATIENCE)
    runner.close()
    assert ended.is_set()
    runner.submit("after", lambda _: None, heard.append)
    qtbot.wait(50)
    assert heard == []


def test_progress_is_thinned_out_but_every_stage_is_told(runner: JobRunner, qtbot: QtBot) -> None:
    stages: list[str] = []
    runner.progressed.connect(lambda stage, *_: stages.append(stage))

    def work(monitor: ProgressMonitor) -> None:
        for stage in ("Reading", "Segmenting"):
            for k in range(5000):
                monitor.step(stage, k, 5000)

    with qtbot.waitSignal(runner.idle, timeout=PATIENCE_MS):
        runner.submit("Work", work, lambda _: None)
    assert list(dict.fromkeys(stages)) == ["Reading", "Segmenting"]
    assert len(stages) < 100


def test_a_stale_job_is_stopped_and_neither_shown_nor_reported(
    runner: JobRunner, qtbot: QtBot
) -> None:
    counter, begun, ended, results, heard = Counter(), Event(), Event(), [], []
    for signal in (runner.cancelled, runner.failed):
        signal.connect(heard.append)

    def work(monitor: ProgressMonitor) -> None:
        try:
            while True:
                begun.set()
                monitor.step("Working")
        except CancelledError:
            ended.set()
            raise

    runner.submit("stale", work, results.append, generation=counter.now())
    assert begun.wait(PATIENCE)
    with qtbot.waitSignal(runner.idle, timeout=PATIENCE_MS):
        counter.advance()
        runner.submit("current", lambda _: 2, results.append, generation=counter.now())
    assert ended.is_set()
    assert (results, heard) == ([2], [])


def test_a_result_is_dropped_that_comes_when_its_generation_is_over(
    runner: JobRunner, qtbot: QtBot
) -> None:
    counter, begun, go, results = Counter(), Event(), Event(), []

    def deaf(_: ProgressMonitor) -> str:
        begun.set()
        go.wait(PATIENCE)
        return "too late"

    runner.submit("deaf", deaf, results.append, generation=counter.now())
    assert begun.wait(PATIENCE)
    with qtbot.waitSignal(runner.idle, timeout=PATIENCE_MS):
        counter.advance()
        go.set()
    assert results == []


def test_a_stale_job_that_waits_is_never_begun(runner: JobRunner, qtbot: QtBot) -> None:
    counter, go, started, results = Counter(), Event(), [], []
    runner.started.connect(started.append)
    runner.submit("first", lambda _: go.wait(PATIENCE), results.append)
    runner.submit("stale", lambda _: "stale", results.append, generation=counter.now())
    counter.advance()
    with qtbot.waitSignal(runner.idle, timeout=PATIENCE_MS):
        go.set()
    assert (started, results) == (["first"], [True])


def test_a_function_is_called_on_the_gui_thread(runner: JobRunner, qtbot: QtBot) -> None:
    threads: list[object] = []

    def work(_: ProgressMonitor) -> None:
        runner.call_in_gui(lambda: threads.append(current_thread()))

    with qtbot.waitSignal(runner.idle, timeout=PATIENCE_MS):
        runner.submit("Work", work, lambda _: None)
    assert threads == [main_thread()]


def test_the_queues_of_a_viewer_run_beside_each_other_and_close_together(qtbot: QtBot) -> None:
    jobs, go, results = Jobs(), Event(), []
    jobs.main.submit("long", lambda _: go.wait(PATIENCE), results.append)
    with qtbot.waitSignal(jobs.io.idle, timeout=PATIENCE_MS):
        jobs.io.submit("short", lambda _: "short", results.append)
    assert results == ["short"]
    assert jobs.busy
    go.set()
    jobs.close()
    for runner in jobs.all:
        runner.submit("after", lambda _: "after", results.append)
    qtbot.wait(50)
    assert results == ["short"]
    assert not jobs.busy
