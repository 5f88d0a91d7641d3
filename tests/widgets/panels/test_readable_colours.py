"""Text can be read in both of napari's themes."""

import pytest
from napari.utils.theme import get_theme
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QColor

from napari_ciml.widgets.panels.common import WrappingLabel
from napari_ciml.widgets.panels.maps_window import MapsWindow
from napari_ciml.widgets.panels.readable_colours import contrast, readable
from napari_ciml.widgets.workbench import Workbench


def test_contrast_is_that_of_wcag() -> None:
    assert contrast(QColor("black"), QColor("white")) == pytest.approx(21)
    assert contrast(QColor("#777777"), QColor("white")) == pytest.approx(4.48, abs=0.01)


def test_a_colour_changes_only_as_far_as_it_must() -> None:
    dark = QColor("#23242b")
    assert readable("#ffd92f", dark) == QColor("#ffd92f")
    made = readable("#d62728", dark)
    assert contrast(made, dark) >= 4.5 > contrast(QColor("#d62728"), dark)
    assert made.red() > made.green()


def assert_readable(part: WrappingLabel) -> None:
    palette = part.palette()
    assert contrast(palette.windowText().color(), palette.window().color()) >= 4.5


def header_colours(desk: Workbench) -> list[QColor]:
    grid = desk.decomposition.grid
    across = [grid.horizontalHeaderItem(k) for k in range(grid.columnCount())]
    down = [grid.verticalHeaderItem(k) for k in range(grid.rowCount())]
    return [item.foreground().color() for item in (*across[-3:], *down)]


@pytest.mark.window(shown=False)
def test_headers_and_words_can_be_read_in_both_themes(desk: Workbench, qtbot: QtBot) -> None:
    maps = MapsWindow(desk.session, lambda: None, desk.explain)
    maps.show()
    qtbot.waitExposed(maps)
    (legend,) = [
        part for part in maps.findChildren(WrappingLabel) if part.text().startswith("Each row")
    ]
    words = [part for part in desk.decomposition.findChildren(WrappingLabel) if part.styleSheet()]
    assert words
    for theme in ("light", "dark"):
        desk.viewer.theme = theme
        ground = QColor(get_theme(theme).primary.as_hex())
        assert min(contrast(colour, ground) for colour in header_colours(desk)) >= 4.5
        for part in (*words, legend):
            assert_readable(part)
    assert legend.styleSheet() == "color: #9aa0a6"  # readable as it is
    maps.close()
