"""Real clicks and keys, and waiting for what they do."""

from collections.abc import Callable

from napari.utils.key_bindings import KeymapHandler
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QSlider, QTableWidget, QWidget

from napari_ciml.widgets.workbench import Workbench

LEFT = Qt.MouseButton.LeftButton

PATIENCE = 300_000
"""Milliseconds. Waiting ends as soon as the condition holds; a busy machine may take its time."""


def wait_until(qtbot: QtBot, condition: Callable[[], bool]) -> None:
    """Let Qt work until a condition holds."""
    qtbot.waitUntil(condition, timeout=PATIENCE)


def wait(qtbot: QtBot, desk: Workbench) -> None:
    """Wait until no job runs or waits, and the layout is there."""
    runners = (desk.session.jobs.main, desk.session.jobs.measure)
    wait_until(qtbot, lambda: not any(runner.busy for runner in runners))


def click(qtbot: QtBot, widget: QWidget) -> None:
    """Click a widget; a check box where its box is drawn."""
    if isinstance(widget, QCheckBox):
        qtbot.mouseClick(widget, LEFT, pos=QPoint(8, widget.height() // 2))
    else:
        qtbot.mouseClick(widget, LEFT)


def click_cell(qtbot: QtBot, table: QTableWidget, row: int, column: int) -> None:
    """Click a cell of a table."""
    cell = table.visualItemRect(table.item(row, column))
    qtbot.mouseClick(table.viewport(), LEFT, pos=cell.center())


def press(desk: Workbench, key: str) -> None:
    """Press a key ("Alt-Z") as napari does when the canvas has the focus."""
    handler = KeymapHandler()
    active = desk.viewer.layers.selection.active
    handler.keymap_providers = [desk.viewer] if active is None else [active, desk.viewer]
    handler.press_key(key)
    handler.release_key(key)


def drag(slider: QSlider, value: int) -> None:
    """Move a slider as arrow keys do, step by step."""
    while slider.value() != value:
        slider.setValue(slider.value() + (1 if value > slider.value() else -1))
