"""Base classes of dock widgets: a column of widgets with an error message at the bottom."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QApplication, QFileDialog, QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_ciml.errors import CimlError
from napari_ciml.files import write_table
from napari_ciml.widgets.controllers.session import get_session
from napari_ciml.widgets.panels.common import ERROR_COLOUR, WrappingLabel, button
from napari_ciml.widgets.panels.dock_tabs import tabify_with_siblings

if TYPE_CHECKING:
    from napari.viewer import Viewer


class Dock(QWidget):
    """Dock widget with a column of widgets and an error message at the bottom.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session is shown; napari passes it by this parameter name.
    scrolls : bool
        Put the column into a scroll area, so that it does not enlarge the window.
    """

    def __init__(self, napari_viewer: "Viewer", scrolls: bool = False) -> None:
        super().__init__()
        self.session = get_session(napari_viewer)
        self.model, self.viewer = self.session.model, self.session.layers.viewer
        self.column = QVBoxLayout(_scrolled(self) if scrolls else self)
        self.error = WrappingLabel(colour=ERROR_COLOUR)
        self.copy = button("Copy details", "Copy the traceback for a bug report.")
        self.copy.setVisible(False)
        self.copy.clicked.connect(self._copy_details)
        self._details, self._tabified = "", False
        self.setMinimumWidth(330)
        self.session.register_dock(self)

    def add_footer(self) -> None:
        """Add the error message; called once, after the dock's own widgets."""
        self.column.addWidget(self.error)
        self.column.addWidget(self.copy)

    def show_error(self, sentence: str, details: str = "") -> None:
        """Show an error message, with details to copy."""
        self.error.set_text(sentence)
        self._details = details
        self.copy.setVisible(bool(details))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Tabify with the other dock widgets when shown for the first time."""
        super().showEvent(event)
        if not self._tabified:
            self._tabified = True
            tabify_with_siblings(self, Dock)

    def run_intent(self, intent: object, *args: object) -> None:
        """Call a controller's intent and show its error, if any."""
        self.show_error("")
        try:
            intent(*args)  # type: ignore[operator]
        except CimlError as error:
            self.show_error(str(error))

    def _copy_details(self) -> None:
        QApplication.clipboard().setText(f"{self.error.text()}\n{self._details}")


def _scrolled(dock: QWidget) -> QWidget:
    """Return the inner widget of a scroll area that fills a dock."""
    inner, area, outer = QWidget(), QScrollArea(), QVBoxLayout(dock)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(inner)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(area)
    return inner


class LabelMapDock(Dock):
    """Dock widget about the active label map.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.findings = self.model.findings
        self.active_map, self.autosave = self.session.label_maps, self.session.autosave


def save_table(dock: Dock, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Ask for a CSV file and write rows to it; errors are shown in the dock."""
    path, _ = QFileDialog.getSaveFileName(dock, "Save table", name, "CSV (*.csv)")
    if path:
        file = Path(path)
        dock.run_intent(write_table, file if file.suffix else file.with_suffix(".csv"), rows)
