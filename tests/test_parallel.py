"""Work on several things at once."""

from threading import Barrier, Event, Thread

import pytest

from napari_ciml.errors import CancelledError, InputError
from napari_ciml.parallel import map_in_threads
from napari_ciml.progress import Progress, ProgressMonitor


def test_two_at_a_time_and_in_their_order() -> None:
    together, told = Barrier(2, timeout=10), []
    monitor = ProgressMonitor(lambda p: told.append(p))

    def work(name: str) -> str:
        together.wait()  # one alone would wait for ever
        return name.upper()

    assert map_in_threads(work, ("a", "b", "c", "d"), monitor, "Doing") == ["A", "B", "C", "D"]
    assert told == [Progress(f"Doing {name}", k, 4) for k, name in enumerate("abcd")]


def test_what_fails_is_raised_and_what_has_not_begun_is_left_out() -> None:
    begun, go = [], Event()

    def work(name: str) -> None:
        begun.append(name)
        if name == "b":
            raise InputError("b: shows nothing.")
        if name == "a":
            Thread(target=go.set).start()
        go.wait(10)

    with pytest.raises(InputError, match="b: shows nothing"):
        map_in_threads(work, tuple("ab"), ProgressMonitor(), "Doing")
    monitor = ProgressMonitor()
    begun.clear()

    def stopped(_: str) -> None:
        begun.append("")
        monitor.stop.set()

    with pytest.raises(CancelledError):
        map_in_threads(stopped, tuple("abcdefgh"), monitor, "Doing")
    assert len(begun) < 8
