"""Map a function in threads; useful where numpy and SimpleITK release the interpreter lock."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from napari_ciml.progress import ProgressMonitor

Item = TypeVar("Item")
Result = TypeVar("Result")

_WORKERS = 2
"""Number of threads. More gain little, and each may hold several volumes."""


def map_in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], monitor: ProgressMonitor, stage: str
) -> list[Result]:
    """Call a function with each item, two at a time.

    Parameters
    ----------
    function : callable
        Called with one item, in another thread.
    items : sequence
        Items.
    monitor : ProgressMonitor
        Receives a step for each item, in the calling thread, before its result is awaited.
    stage : str
        Stage of the steps; the item is appended.

    Returns
    -------
    list
        Results in the order of the items.

    Raises
    ------
    CancelledError
        If the monitor is cancelled; calls that have not started are dropped.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            results = []
            for index, (item, future) in enumerate(zip(items, futures, strict=True)):
                monitor.step(f"{stage} {item}", index, len(items))
                results.append(future.result())
            return results
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
