"""Convert values of pydicom to plain Python types."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def to_plain(value: Any) -> Any:
    """Return a value as str, int, float or tuple of str; None if it is empty."""
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
    """Return one or several values as strings; an empty tuple for None."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(part) for part in value)


def to_number(value: Any) -> float | None:
    """Return a value, or the first of several, as a float; None if it is missing or not finite.

    Raises
    ------
    ValueError
        If it is text that is no number.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str | int | float) and isinstance(value, Iterable):
        value = next(iter(value), None)
    number = float(value) if value is not None else float("nan")
    return number if np.isfinite(number) else None


def to_floats(value: Any, count: int) -> tuple[float, ...] | None:
    """Return values as floats; None if their number is not `count` or one is not finite."""
    if value is None or isinstance(value, str) or len(value) != count:
        return None
    numbers = tuple(float(part) for part in value)
    return numbers if np.isfinite(numbers).all() else None
