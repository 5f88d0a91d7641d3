"""Run times by stage, and the start-up time of a process."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


class StageTimer:
    """Seconds spent in each stage; ``seconds`` ends with their ``total``."""

    def __init__(self) -> None:
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body of a with statement as a stage."""
        start = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        """Add seconds to a stage."""
        self._stages[name] = self._stages.get(name, 0.0) + seconds

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by stage, and in total."""
        rounded = {name: round(value, 4) for name, value in self._stages.items()}
        return rounded | {"total": round(sum(self._stages.values()), 4)}


def seconds_since_start() -> float:
    """Return the age of this process in seconds: interpreter start and imports."""
    return round(time.time() - psutil.Process().create_time(), 2)
