"""Numbers as command lines give them: what they may be."""

import argparse
from pathlib import Path


def positive(text: str) -> int:
    """Read a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def positive_or_zero(text: str) -> int:
    """Read a whole number from 0 on."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def millimetres(text: str) -> float:
    """Read a voxel size."""
    size = float(text)
    if not 0.2 <= size <= 20:
        raise argparse.ArgumentTypeError(f"{text} mm is no voxel size (0.2 to 20)")
    return size


def minutes(text: str) -> float:
    """Read a time in minutes, above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time above 0")
    return number


def rate(text: str) -> float:
    """Read a finite number that is not negative."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return number


def fraction(text: str) -> float:
    """Read a number above 0, at most 1."""
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return number


def fraction_below_one(text: str) -> float:
    """Read a number from 0 to below 1."""
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to below 1")
    return number


def folder_and_fraction(text: str) -> tuple[Path, float]:
    """Read a folder and a number above 0 and below 1, as ``DIR=FRACTION``."""
    folder, _, number = text.rpartition("=")
    fraction = fraction_below_one(number)
    if not folder or fraction == 0:
        raise argparse.ArgumentTypeError(f"{text} is not DIR=FRACTION with one above 0")
    return Path(folder), fraction
