"""Adapt text colours to the background, in dark and light themes."""

from qtpy.QtGui import QColor

_REQUIRED = 4.5
"""Contrast ratio that WCAG 2 requires of text."""

_STEPS = 20


def readable(colour: str, background: QColor) -> QColor:
    """Lighten or darken a colour as little as needed for a readable contrast.

    Parameters
    ----------
    colour : str
        Hexadecimal (``"#rrggbb"``).
    background : QColor
        Colour of the background.

    Returns
    -------
    QColor
        Colour with a contrast ratio of at least 4.5 : 1.
    """
    original = QColor(colour)
    ends = (QColor("black"), QColor("white"))
    end = max(ends, key=lambda candidate: contrast(candidate, background))
    mixtures = (_mix(original, end, k / _STEPS) for k in range(_STEPS + 1))
    return next(
        (mixture for mixture in mixtures if contrast(mixture, background) >= _REQUIRED), end
    )


def contrast(one: QColor, other: QColor) -> float:
    """Return the contrast ratio of two colours, 1 to 21, as WCAG 2 defines it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return float((light + 0.05) / (dark + 0.05))


def _luminance(colour: QColor) -> float:
    channels = (colour.redF(), colour.greenF(), colour.blueF())
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mix(one: QColor, other: QColor, fraction: float) -> QColor:
    pairs = zip(one.getRgbF()[:3], other.getRgbF()[:3], strict=True)
    return QColor.fromRgbF(*((1 - fraction) * a + fraction * b for a, b in pairs))
