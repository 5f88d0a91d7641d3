"""Types of command-line arguments: numbers within bounds."""

import argparse
from pathlib import Path


def positive(text: str) -> int:
    """Parse an integer above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def positive_or_zero(text: str) -> int:
    """Parse an integer from 0 on."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def millimetres(text: str) -> float:
    """Parse a voxel size in mm, from 0.2 to 20."""
    size = float(text)
    if not 0.2 <= size <= 20:
        raise argparse.ArgumentTypeError(f"{text} mm is not a voxel size (0.2 to 20)")
    return size


def minutes(text: str) -> float:
    """Parse a finite number of minutes above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a time above 0")
    return number


def rate(text: str) -> float:
    """Parse a finite number that is not negative."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return number


def fraction(text: str) -> float:
    """Parse a number above 0, at most 1."""
    number = float(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return number


def fraction_below_one(text: str) -> float:
    """Parse a number from 0 to below 1."""
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to below 1")
    return number


def folder_and_fraction(text: str) -> tuple[Path, float]:
    """Parse ``DIR=FRACTION`` with a fraction above 0 and below 1."""
    folder, _, number = text.rpartition("=")
    fraction = fraction_below_one(number)
    if not folder or fraction == 0:
        raise argparse.ArgumentTypeError(f"{text} is not DIR=FRACTION with one above 0")
    return Path(folder), fraction
