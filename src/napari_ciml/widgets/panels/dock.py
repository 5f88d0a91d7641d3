"""What all dock widgets are: a column of parts with the session's state and errors at its foot."""

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
    """A dock widget: a column of parts, with the session's state and errors at its foot.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Whose session is shown. napari fills in a parameter that has just this name.
    scrolls : bool
        Let the column scroll, so that a long one does not make the window taller than a screen.
    """

    def __init__(self, napari_viewer: "Viewer", scrolls: bool = False) -> None:
        super().__init__()
        self.session = get_session(napari_viewer)
        self.model, self.viewer = self.session.model, self.session.layers.viewer
        self.column = QVBoxLayout(_scrolled(self) if scrolls else self)
        self.error = WrappingLabel(colour=ERROR_COLOUR)
        self.copy = button("Copy details", "Copy the technical details, for a bug report.")
        self.copy.setVisible(False)
        self.copy.clicked.connect(self._copy_details)
        self._details, self._placed = "", False
        self.setMinimumWidth(330)
        self.session.register_dock(self)

    def add_footer(self) -> None:
        """Add the foot; called once by each dock widget after its own parts."""
        self.column.addWidget(self.error)
        self.column.addWidget(self.copy)

    def show_error(self, sentence: str, details: str = "") -> None:
        """Show what went wrong."""
        self.error.set_text(sentence)
        self._details = details
        self.copy.setVisible(bool(details))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Find its place in the window, the first time."""
        super().showEvent(event)
        if not self._placed:
            self._placed = True
            tabify_with_siblings(self, Dock)

    def run_intent(self, intent: object, *args: object) -> None:
        """Call an intent of the session; what it refuses is shown here."""
        self.show_error("")
        try:
            intent(*args)  # type: ignore[operator]
        except CimlError as error:
            self.show_error(str(error))

    def _copy_details(self) -> None:
        QApplication.clipboard().setText(f"{self.error.text()}\n{self._details}")


def _scrolled(dock: QWidget) -> QWidget:
    """Return a widget that fills a dock and scrolls in it."""
    inner, area, outer = QWidget(), QScrollArea(), QVBoxLayout(dock)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(inner)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.addWidget(area)
    return inner


class LabelMapDock(Dock):
    """A dock about the label map that is looked at: who measures it, keeps it, and what was found.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Where it is shown.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.findings = self.model.findings
        self.active_map, self.autosave = self.session.label_maps, self.session.autosave


def save_table(dock: Dock, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Ask for a file, and write rows to it; the dock says what keeps it from being written."""
    path, _ = QFileDialog.getSaveFileName(dock, "Save the table", name, "CSV (*.csv)")
    if path:
        file = Path(path)
        dock.run_intent(write_table, file if file.suffix else file.with_suffix(".csv"), rows)
