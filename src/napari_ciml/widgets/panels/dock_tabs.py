"""Tabify dock widgets of the plugin in the napari window."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

MENU_SUFFIX = " (CIML)"
"""Suffix that napari's menu adds to the name of a dock widget and finds it by."""


def tabify_with_siblings(widget: QWidget, kind: type[QWidget]) -> None:
    """Tabify a dock widget with others of its kind in the same area.

    napari's menu stacks them, which is taller than a screen. The suffix is removed from the tab.

    Parameters
    ----------
    widget : QWidget
        Widget inside the dock.
    kind : type
        Class of the other widgets.
    """
    dock = dock_of(widget)
    main = dock.window() if dock is not None else None
    if dock is None or not isinstance(main, QMainWindow) or dock.isFloating():
        return
    dock.setWindowTitle(dock.windowTitle().removesuffix(MENU_SUFFIX))
    area = main.dockWidgetArea(dock)
    frames = (dock_of(other) for other in main.findChildren(kind))
    siblings = [
        frame
        for frame in frames
        if frame is not None and frame is not dock and frame.isVisible() and not frame.isFloating()
    ]
    sibling = next((frame for frame in siblings if main.dockWidgetArea(frame) == area), None)
    if sibling is None or main.tabifiedDockWidgets(dock):
        return
    main.tabifyDockWidget(sibling, dock)
    set_vertical_tabs(main)
    dock.raise_()


def set_vertical_tabs(main: QMainWindow) -> None:
    """Show the tabs of the right area vertically; side by side they do not fit."""
    main.setTabPosition(Qt.DockWidgetArea.RightDockWidgetArea, QTabWidget.TabPosition.East)


def bring_forward(widget: QWidget) -> None:
    """Raise the tab of a dock widget."""
    dock = dock_of(widget)
    if dock is not None:
        dock.raise_()


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the QDockWidget that contains a widget."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent
