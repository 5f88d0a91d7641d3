"""Windows: which intensities are black and white, by name and by dragging."""

from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.display_window import display_range, window_presets
from napari_ciml.cases.intensity import background_value

_PIXELS = 300.0
"""Dragging over this many pixels makes a window e times as wide, or moves it by its width."""


@dataclass(frozen=True)
class WindowPreset:
    """What is black and what is white: percentiles of the object's voxels, or values."""

    name: str
    low: float
    high: float
    percentiles: bool = True


DEFAULT_WINDOW = WindowPreset("usual", 0, 0)
"""What a case is opened with; see `napari_ciml.cases.display_window.display_range`."""

MR_WINDOWS = (
    DEFAULT_WINDOW,
    WindowPreset("soft contrast", 0, 100),
    WindowPreset("strong contrast", 10, 98),
    WindowPreset("what is bright", 50, 99.9),
    WindowPreset("what is dark", 0.1, 60),
)
"""MR has no units, so its windows are shares of what lies inside the head."""


def window_presets_of(modality: str, unit: str) -> tuple[WindowPreset, ...]:
    """Return the windows there are for a modality whose values have a unit, the usual one first."""
    named = window_presets(modality, unit)
    if not named:
        return MR_WINDOWS
    return (
        DEFAULT_WINDOW,
        *(WindowPreset(name, *limits, percentiles=False) for name, limits in named.items()),
    )


def preset_limits(
    window: WindowPreset, image: np.ndarray, modality: str, unit: str
) -> tuple[float, float]:
    """Return what is black and what is white.

    Parameters
    ----------
    window : Window
        One of `windows_of`.
    image : numpy.ndarray
        (Z, Y, X).
    modality, unit : str
        Which it is, and of what its values are.
    """
    if window == DEFAULT_WINDOW:
        return display_range(image, modality, unit)
    if not window.percentiles:
        return window.low, window.high
    value = background_value(image)
    sample = image[::3, ::3, ::3]
    inside = sample if value is None else sample[sample != value]
    if not inside.size:
        return display_range(image, modality, unit)
    low, high = (float(v) for v in np.percentile(inside, (window.low, window.high)))
    return low, max(high, low + 1e-6)


def window_after_drag(
    limits: tuple[float, float], right: float, down: float
) -> tuple[float, float]:
    """Return a window after dragging: to the right it is wider, upwards its picture brighter.

    Parameters
    ----------
    limits : tuple of float
        What was black and what was white.
    right, down : float
        How far the mouse was dragged, in pixels.
    """
    low, high = limits
    width = high - low
    level = (low + high) / 2 + width * down / _PIXELS
    width *= float(np.exp(right / _PIXELS))
    return level - width / 2, level + width / 2


def describe_window(limits: tuple[float, float]) -> str:
    """Return window width and level as workstations write them."""
    low, high = limits
    return f"W {high - low:.4g}  L {(low + high) / 2:.4g}"
