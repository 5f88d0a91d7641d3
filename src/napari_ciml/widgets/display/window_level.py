"""Window/level: presets and changes by dragging."""

from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.display_window import display_range, window_presets
from napari_ciml.cases.intensity import background_value

_PIXELS = 300.0
"""Drag distance in pixels that widens a window by a factor of e, or moves it by its width."""


@dataclass(frozen=True)
class WindowPreset:
    """Lower and upper limit of a window: percentiles of foreground voxels, or values."""

    name: str
    low: float
    high: float
    percentiles: bool = True


DEFAULT_WINDOW = WindowPreset("Default", 0, 0)
"""Window of a newly opened case; see `napari_ciml.cases.display_window.display_range`."""

MR_WINDOWS = (
    DEFAULT_WINDOW,
    WindowPreset("Low contrast", 0, 100),
    WindowPreset("High contrast", 10, 98),
    WindowPreset("Bright structures", 50, 99.9),
    WindowPreset("Dark structures", 0.1, 60),
)
"""MR has no units, so its windows are percentiles of the foreground."""


def window_presets_of(modality: str, unit: str) -> tuple[WindowPreset, ...]:
    """Return the presets of a modality with values in a unit, the default one first."""
    limits_by_name = window_presets(modality, unit)
    if not limits_by_name:
        return MR_WINDOWS
    return (
        DEFAULT_WINDOW,
        *(
            WindowPreset(name, *limits, percentiles=False)
            for name, limits in limits_by_name.items()
        ),
    )


def preset_limits(
    window: WindowPreset, image: np.ndarray, modality: str, unit: str
) -> tuple[float, float]:
    """Return the contrast limits of a preset.

    Parameters
    ----------
    window : WindowPreset
        One of `window_presets_of`.
    image : numpy.ndarray
        (Z, Y, X).
    modality, unit : str
        Modality and unit of its values.
    """
    if window == DEFAULT_WINDOW:
        return display_range(image, modality, unit)
    if not window.percentiles:
        return window.low, window.high
    value = background_value(image)
    sample = image[::3, ::3, ::3]
    foreground = sample if value is None else sample[sample != value]
    if not foreground.size:
        return display_range(image, modality, unit)
    low, high = (float(v) for v in np.percentile(foreground, (window.low, window.high)))
    return low, max(high, low + 1e-6)


def window_after_drag(
    limits: tuple[float, float], right: float, down: float
) -> tuple[float, float]:
    """Return contrast limits after dragging: right widens the window, up brightens the image.

    Parameters
    ----------
    limits : tuple of float
        Contrast limits before dragging.
    right, down : float
        Drag distance in pixels.
    """
    low, high = limits
    width = high - low
    level = (low + high) / 2 + width * down / _PIXELS
    width *= float(np.exp(right / _PIXELS))
    return level - width / 2, level + width / 2


def describe_window(limits: tuple[float, float]) -> str:
    """Return window width and level as text, as workstations write them."""
    low, high = limits
    return f"W {high - low:.4g}  L {(low + high) / 2:.4g}"
