"""Real clicks and keys, and waiting for what they do."""

from collections.abc import Callable

from napari.utils.key_bindings import KeymapHandler
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QSlider, QTableWidget, QWidget

from helpers.waiting import PATIENCE_MS
from napari_ciml.widgets.workbench import Workbench

LEFT = Qt.MouseButton.LeftButton


def wait_until(qtbot: QtBot, condition: Callable[[], bool]) -> None:
    """Let Qt work until a condition holds."""
    qtbot.waitUntil(condition, timeout=PATIENCE_MS)


def wait(qtbot: QtBot, desk: Workbench) -> None:
    """Wait until no job runs, no edit waits for one, and the layout is complete."""
    wait_until(qtbot, lambda: is_idle(desk))


def is_idle(desk: Workbench) -> bool:
    """Return whether no job runs, no edit waits for one, and the layout is complete."""
    session = desk.session
    pending = session.live.pending or session.autosave.pending
    return not (session.jobs.busy or pending or session.display.layouts.busy)


def click(qtbot: QtBot, widget: QWidget) -> None:
    """Click a widget; a check box where its box is drawn."""
    place = QPoint(8, widget.height() // 2) if isinstance(widget, QCheckBox) else QPoint()
    qtbot.mouseClick(widget, LEFT, pos=place)


def click_and_wait(qtbot: QtBot, desk: Workbench, widget: QWidget) -> None:
    """Click a widget and wait for what it does."""
    click(qtbot, widget)
    wait(qtbot, desk)


def run_segment(qtbot: QtBot, desk: Workbench) -> None:
    """Segment the open case by its button."""
    click_and_wait(qtbot, desk, desk.segment.run)


def layer_names(desk: Workbench) -> list[str]:
    """Return the names of all layers, from the bottom up."""
    return [layer.name for layer in desk.viewer.layers]


def visible_names(desk: Workbench) -> list[str]:
    """Return the names of the visible layers, from the bottom up."""
    return [layer.name for layer in desk.viewer.layers if layer.visible]


def click_cell(qtbot: QtBot, table: QTableWidget, row: int, column: int) -> None:
    """Click a cell of a table."""
    cell = table.visualItemRect(table.item(row, column))
    qtbot.mouseClick(table.viewport(), LEFT, pos=cell.center())


def choose(box: QComboBox, text: str) -> None:
    """Choose an entry of a box as a click on it does."""
    box.setCurrentText(text)
    assert box.currentText() == text
    box.activated.emit(box.currentIndex())


def choose_by_keys(qtbot: QtBot, box: QComboBox, text: str) -> None:
    """Choose an entry of a box by keys; it may be a title in between that cannot be chosen."""
    assert box.findText(text) >= 0, f"no entry {text!r}"
    box.setFocus()
    while box.currentText() != text:
        down = box.findText(text) > box.currentIndex()
        qtbot.keyClick(box, Qt.Key.Key_Down if down else Qt.Key.Key_Up)


def drag(slider: QSlider, value: int) -> None:
    """Move a slider as arrow keys do, step by step."""
    while slider.value() != value:
        slider.setValue(slider.value() + (1 if value > slider.value() else -1))


def press(desk: Workbench, key: str) -> None:
    """Press a key ("Alt-Z") as napari does when the canvas has the focus."""
    active = desk.viewer.layers.selection.active
    handler = KeymapHandler()
    handler.keymap_providers = [desk.viewer] if active is None else [active, desk.viewer]
    assert handler.press_key(key), f"{key} is bound to nothing"
    handler.release_key(key)


def canvas(desk: Workbench) -> QWidget:
    """Return the canvas of napari's window."""
    return desk.viewer.window._qt_viewer.canvas.native
