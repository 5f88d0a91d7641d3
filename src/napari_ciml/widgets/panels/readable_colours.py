"""Colours of text that can be read on the background of napari's theme, be it dark or light."""

from qtpy.QtGui import QColor

_ENOUGH = 4.5
"""Ratio of contrast that WCAG 2 asks for text."""

_STEPS = 20


def readable(colour: str, background: QColor) -> QColor:
    """Return a colour, made lighter or darker only as far as reading it on a background needs.

    Parameters
    ----------
    colour : str
        Hexadecimal (``"#rrggbb"``).
    background : QColor
        What it is read on.

    Returns
    -------
    QColor
        With a contrast of at least 4.5 : 1.
    """
    wanted = QColor(colour)
    ends = (QColor("black"), QColor("white"))
    end = max(ends, key=lambda candidate: contrast(candidate, background))
    mixed = (_mixed(wanted, end, k / _STEPS) for k in range(_STEPS + 1))
    return next((made for made in mixed if contrast(made, background) >= _ENOUGH), end)


def contrast(one: QColor, other: QColor) -> float:
    """Return the ratio of contrast of two colours, 1 to 21, as WCAG 2 defines it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: QColor) -> float:
    channels = (colour.redF(), colour.greenF(), colour.blueF())
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _mixed(one: QColor, other: QColor, share: float) -> QColor:
    pairs = zip(one.getRgbF()[:3], other.getRgbF()[:3], strict=True)
    return QColor.fromRgbF(*((1 - share) * a + share * b for a, b in pairs))
