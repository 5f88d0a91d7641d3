"""The report as one A4 page (PDF), and its pictures as PNG."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_ciml.decomposition.model import Pair
from napari_ciml.export.report import DISCLAIMER, MAP_STOPS, PALETTE, Report, Table
from napari_ciml.export.report_pictures import Picture
from napari_ciml.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_A4 = (8.27, 11.69)
_GREY = "#666666"
_FOOT, _LINE, _CHARACTERS = 0.02, 0.0112, 140
"""Position of the footer's last line, line height, and characters per line."""


def write_report_pdf(path: Path, report: Report) -> Path:
    """Write the report as a PDF of one page.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    figure = draw_page(report)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="pdf", metadata={"Title": report.title, "Author": None})
    return path


def draw_page(report: Report) -> "Figure":
    """Return the page as a figure."""
    figure = _figure(_A4)
    figure.text(0.07, 0.955, report.title, fontsize=17, weight="bold", va="bottom")
    day = dict(report.facts)["Date"]
    figure.text(0.93, 0.957, day, fontsize=10, color=_GREY, ha="right", va="bottom")
    _rule(figure, 0.95)
    top = 0.935
    for pictures in filter(None, (report.pictures, report.maps)):
        _draw_pictures(figure, pictures, top)
        top -= 0.232
    below = _draw_table(figure, report.regions, 0.07, top, 0.41)
    below = _draw_table(figure, report.decomposition, 0.07, below, 0.38)
    if report.weights:
        _heading(figure, "Complementary-information weights", 0.5, top)
        height = min(0.2, 0.026 * len(report.weights))
        axes = figure.add_axes((0.6, top - 0.042 - height, 0.33, height))
        draw_weights(axes, report.weights)
        below = min(below, top - 0.062 - height)
    _heading(figure, "How this was made", 0.07, below)
    for k, (name, text) in enumerate(report.facts[1:]):
        y = below - 0.02 - 0.0145 * k
        figure.text(0.07, y, name, fontsize=7.5, color=_GREY, va="top")
        figure.text(0.2, y, text, fontsize=7.5, va="top")
    lowest = below - 0.02 - 0.0145 * len(report.facts)
    _footer(figure, report.notices, int((lowest - _FOOT) / _LINE))
    return figure


def picture_png(picture: Picture) -> bytes:
    """Return a picture as PNG."""
    rows, columns = picture.image.shape
    figure = _figure((3.2, 3.2 * rows * picture.aspect / columns))
    draw_picture(figure.add_axes((0, 0, 1, 1)), picture)
    return _png(figure, 130)


def weights_png(weights: Mapping[Pair, Mapping[str, float]]) -> bytes:
    """Return the chart of the weights as PNG."""
    height = 0.6 + 0.3 * len(weights)
    figure = _figure((5.4, height))
    draw_weights(figure.add_axes((0.19, 0.02, 0.79, 0.96 - 0.25 / height)), weights)
    return _png(figure, 150)


def draw_picture(axes: "Axes", picture: Picture) -> None:
    """Draw a slice with its contour, map and orientation letters."""
    from matplotlib.colors import LinearSegmentedColormap

    low, high = picture.limits
    grey = "gray_r" if picture.inverted else "gray"
    axes.imshow(picture.image, cmap=grey, vmin=low, vmax=high, interpolation="bilinear")
    if picture.overlay is not None:
        colours = LinearSegmentedColormap.from_list("map", MAP_STOPS)
        axes.imshow(picture.overlay, cmap=colours, vmin=0, vmax=1, interpolation="bilinear")
    if picture.mask.any():
        axes.contour(picture.mask.astype(float), levels=[0.5], colors=picture.colour, linewidths=1)
    shade = "black" if picture.inverted else "white"
    for letter, position in {"R": (0.03, 0.5), "L": (0.97, 0.5), "A": (0.5, 0.97)}.items():
        axes.text(
            *position,
            letter,
            transform=axes.transAxes,
            color=shade,
            fontsize=8,
            ha="center",
            va="center",
        )
    axes.set_aspect(picture.aspect)
    axes.set_axis_off()


def draw_weights(axes: "Axes", weights: Mapping[Pair, Mapping[str, float]]) -> None:
    """Draw one bar per pair, with one segment per auxiliary (Fig. 14)."""
    names = sorted({auxiliary for by_auxiliary in weights.values() for auxiliary in by_auxiliary})
    colours = {name: PALETTE[k % len(PALETTE)] for k, name in enumerate(names)}
    for k, by_auxiliary in enumerate(weights.values()):
        left = 0.0
        for name, weight in by_auxiliary.items():
            if not weight > 0:
                continue
            axes.barh(k, weight, left=left, color=colours[name], height=0.72)
            if weight >= 0.1:
                middle = left + weight / 2
                axes.text(
                    middle, k, f"{weight:.2f}", ha="center", va="center", color="white", fontsize=7
                )
            left += weight
        if left == 0:
            axes.text(0.01, k, "all maps are zero", va="center", color=_GREY, fontsize=7)
    axes.set_yticks(range(len(weights)), [f"{p.primary} {p.region}" for p in weights], fontsize=7.5)
    axes.set_ylim(len(weights) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    from matplotlib.patches import Patch

    handles = [Patch(color=colours[name], label=name) for name in names]
    axes.legend(
        handles=handles,
        ncols=len(names),
        frameon=False,
        fontsize=7,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0,
        handlelength=1,
        columnspacing=1,
    )


def _draw_pictures(figure: "Figure", pictures: tuple[Picture, ...], top: float) -> None:
    width = 0.86 / max(3, len(pictures))
    for k, picture in enumerate(pictures):
        left = 0.07 + k * width
        figure.text(left, top, picture.title, fontsize=9, weight="bold", va="top")
        axes = figure.add_axes((left, top - 0.2, width - 0.015, 0.183), anchor="NW")
        draw_picture(axes, picture)
        figure.text(left, top - 0.204, picture.caption, fontsize=6.5, color=_GREY, va="top")


def _draw_table(figure: "Figure", table: Table, left: float, top: float, width: float) -> float:
    """Draw a table; return the y coordinate below it."""
    _heading(figure, table.title, left, top)
    columns = zip(table.columns, *table.rows, strict=True)
    longest = [max(6, *map(len, column)) + 2 for column in columns]
    positions = [left + width * sum(longest[:k]) / sum(longest) for k in range(len(longest))]
    for x, name in zip(positions, table.columns, strict=True):
        figure.text(x, top - 0.02, name, fontsize=7, color=_GREY, va="top")
    for k, texts in enumerate(table.rows, 1):
        for x, text in zip(positions, texts, strict=True):
            figure.text(x, top - 0.02 - 0.0155 * k, text, fontsize=8, va="top")
    return top - 0.05 - 0.0155 * len(table.rows)


def _heading(figure: "Figure", text: str, left: float, top: float) -> None:
    figure.text(left, top, text, fontsize=9.5, weight="bold", va="top")


def _rule(figure: "Figure", y: float) -> None:
    from matplotlib.lines import Line2D

    figure.add_artist(Line2D((0.07, 0.93), (y, y), color="#cccccc", linewidth=0.8))


def _footer(figure: "Figure", notices: Sequence[str], max_lines: int) -> None:
    """Draw the disclaimer, and above it as many lines of notices as fit."""
    import textwrap

    disclaimer = textwrap.wrap(DISCLAIMER, _CHARACTERS)
    lines = textwrap.wrap("  ".join(notices), _CHARACTERS)
    available = max_lines - len(disclaimer)
    if len(lines) > max(0, available):
        lines = [*lines[: max(0, available - 1)], "More notices are in the HTML report."]
    text = "\n".join((*lines, *disclaimer))
    figure.text(0.07, _FOOT, text, fontsize=6.8, color=_GREY, va="bottom", linespacing=1.35)


def _figure(size: tuple[float, float]) -> "Figure":
    # Not pyplot: such a figure may be drawn in any thread, and is freed with its last reference.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: "Figure", dpi: int) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
