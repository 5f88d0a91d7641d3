"""Where a dock widget lies in the window: as a tab over those of its kind in the same area."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

MENU_SUFFIX = " (CIML)"
"""What napari's menu adds to the name of a dock widget; by that name it finds it again."""


def tabify_with_siblings(widget: QWidget, kind: type[QWidget]) -> None:
    """Lay a dock widget that was opened by itself over those of its kind in the same area.

    One below the other, as napari's menu leaves them, they are taller than a screen. Their tabs say
    no more than their names, so that all of them fit.

    Parameters
    ----------
    widget : QWidget
        What lies in the dock.
    kind : type
        Of its fellows.
    """
    dock = dock_of(widget)
    main = dock.window() if dock is not None else None
    if dock is None or not isinstance(main, QMainWindow) or dock.isFloating():
        return
    dock.setWindowTitle(dock.windowTitle().removesuffix(MENU_SUFFIX))
    area = main.dockWidgetArea(dock)
    frames = (dock_of(other) for other in main.findChildren(kind))
    fellows = [
        frame
        for frame in frames
        if frame is not None and frame is not dock and frame.isVisible() and not frame.isFloating()
    ]
    beside = next((frame for frame in fellows if main.dockWidgetArea(frame) == area), None)
    if beside is None or main.tabifiedDockWidgets(dock):
        return
    main.tabifyDockWidget(beside, dock)
    set_vertical_tabs(main)
    dock.raise_()


def set_vertical_tabs(main: QMainWindow) -> None:
    """Write the names on the tabs at the right from top to bottom: side by side they do not fit."""
    main.setTabPosition(Qt.DockWidgetArea.RightDockWidgetArea, QTabWidget.TabPosition.East)


def bring_forward(widget: QWidget) -> None:
    """Bring a dock widget's tab to the front."""
    dock = dock_of(widget)
    if dock is not None:
        dock.raise_()


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock that a widget lies in."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent
