"""What pydicom gives for a value, as plain Python."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def to_plain(value: Any) -> Any:
    """Return a value without pydicom's own types: str, float, tuple of str, or None."""
    if value is None or value == "":
        return None
    if isinstance(value, str | int):
        return value
    if isinstance(value, float) or hasattr(value, "real"):
        return float(value)
    if isinstance(value, Iterable):
        return to_words(value)
    return str(value)


def to_words(value: Any) -> tuple[str, ...]:
    """Return a value as words, none if it is none."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(part) for part in value)


def to_number(value: Any) -> float | None:
    """Return a finite number, the first of several; None if it is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str | int | float) and isinstance(value, Iterable):
        value = next(iter(value), None)
    number = float(value) if value is not None else float("nan")
    return number if np.isfinite(number) else None


def to_floats(value: Any, count: int) -> tuple[float, ...] | None:
    """Return finite numbers, as many as asked for; None if they are not."""
    if value is None or isinstance(value, str) or len(value) != count:
        return None
    numbers = tuple(float(part) for part in value)
    return numbers if np.isfinite(numbers).all() else None
