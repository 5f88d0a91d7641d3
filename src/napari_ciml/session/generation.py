"""Generations: whether the state that a job was submitted for is still the present one.

A `Counter` grows with every change of one thing, for instance of the open case. A job takes the
counter's `Generation` along when it is submitted; once the counter has grown, the generation is no
longer current, and the queue stops the job and drops its result.
"""

from dataclasses import dataclass


class Counter:
    """Counts the changes of one thing; may be read from any thread."""

    def __init__(self) -> None:
        self._value = 0

    def advance(self) -> None:
        """Count a change: generations taken before are no longer current."""
        self._value += 1

    def now(self) -> "Generation":
        """Return the present generation."""
        return Generation(self, self._value)

    def is_at(self, value: int) -> bool:
        """Whether no change was counted since the counter had this value."""
        return self._value == value


@dataclass(frozen=True, eq=False)
class Generation:
    """The state of a counter at one moment."""

    counter: Counter
    value: int

    @property
    def is_current(self) -> bool:
        """Whether nothing has changed since; may be read from any thread."""
        return self.counter.is_at(self.value)


class Generations:
    """The counters of a session.

    Attributes
    ----------
    case : Counter
        Grows when another case, or the same case read or masked in another way, is committed.
    request : Counter
        Grows with every edit of the request, and with the case.
    segmentation : Counter
        Grows when another segmentation is shown, and with the case.
    """

    def __init__(self) -> None:
        self.case = Counter()
        self.request = Counter()
        self.segmentation = Counter()

    def advance_all(self) -> None:
        """Count a change of everything, as when another case is opened."""
        for counter in (self.case, self.request, self.segmentation):
            counter.advance()
