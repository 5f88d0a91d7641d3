"""A table of the window, saved as CSV."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from qtpy.QtWidgets import QFileDialog

from napari_ciml.files import write_table
from napari_ciml.widgets.panels.dock import Dock


def save_table(dock: Dock, name: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Ask for a file, and write rows to it; the dock says what keeps it from being written."""
    path, _ = QFileDialog.getSaveFileName(dock, "Save the table", name, "CSV (*.csv)")
    if path:
        file = Path(path)
        dock.run_intent(write_table, file if file.suffix else file.with_suffix(".csv"), rows)
