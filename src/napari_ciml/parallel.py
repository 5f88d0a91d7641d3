"""Work on several things at once, where numpy and SimpleITK let go of the interpreter."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from napari_ciml.progress import ProgressMonitor

Thing = TypeVar("Thing")
Result = TypeVar("Result")

_WORKERS = 2
"""More gain little, and each may hold several volumes."""


def map_in_threads(
    work: Callable[[Thing], Result], things: Sequence[Thing], monitor: ProgressMonitor, stage: str
) -> list[Result]:
    """Do the same with several things, two at a time.

    Parameters
    ----------
    work : callable
        Called with each thing in a thread of its own.
    things : sequence
        On what.
    monitor : Monitor
        Told in the caller's thread, before each result is waited for.
    stage : str
        What it is told, followed by the thing.

    Returns
    -------
    list
        What came out, in the order of the things.

    Raises
    ------
    CancelledError
        If the monitor's ``stop`` is set; what has not begun is left out.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        coming = [pool.submit(work, thing) for thing in things]
        try:
            found = []
            for done, (thing, future) in enumerate(zip(things, coming, strict=True)):
                monitor.step(f"{stage} {thing}", done, len(things))
                found.append(future.result())
            return found
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
