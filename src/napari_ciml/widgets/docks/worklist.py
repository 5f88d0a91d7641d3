"""The dock widget *Worklist*: the cases of a folder, their status, next and previous."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QFileDialog, QTableWidgetItem

from napari_ciml.widgets.controllers.persistence import OPENING, SAVING
from napari_ciml.widgets.controllers.worklist import LISTING, PREFETCHING
from napari_ciml.widgets.display.key_bindings import NEXT_CASE, PREVIOUS_CASE, key_text
from napari_ciml.widgets.panels.common import (
    QUIET_COLOUR,
    WrappingLabel,
    button,
    row,
    table,
)
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.job_bar import JobBar
from napari_ciml.widgets.panels.texts import count_text

if TYPE_CHECKING:
    from napari.viewer import Viewer

_EMPTY = "Open a folder of case folders to review them one after the other."


class WorklistWidget(Dock):
    """Review the cases of a folder.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer)
        self.controller = self.session.worklist
        self.open = button(
            "Open worklist ...", "Open a folder with one subfolder per case: files or DICOM."
        )
        self.cases = table("Case", "Status")
        self.cases.setToolTip("Double-click a case to open it; the open case is saved first.")
        self.previous = button(
            "Previous", f"Save this case and open the previous one ({key_text(PREVIOUS_CASE)})."
        )
        self.next = button("Next", f"Save this case and open the next one ({key_text(NEXT_CASE)}).")
        self.prefetch = QCheckBox("Segment the next case in advance")
        self.prefetch.setToolTip(
            "Segment the next case in the background; other jobs take precedence."
        )
        self.prefetch.setChecked(self.controller.prefetch)
        self.jobs = JobBar(self, LISTING, PREFETCHING, SAVING, OPENING)
        self.state = WrappingLabel(_EMPTY, QUIET_COLOUR)
        self.column.addWidget(self.open)
        self.column.addWidget(self.cases)
        self.column.addLayout(row(self.previous, self.next))
        for widget in (self.prefetch, self.jobs, self.state):
            self.column.addWidget(widget)
        self.column.addStretch()
        self.add_footer()
        self.open.clicked.connect(self._choose_folder)
        self.cases.cellDoubleClicked.connect(lambda k, _: self.run_intent(self.controller.go, k))
        self.previous.clicked.connect(lambda: self.run_intent(self.controller.step, -1))
        self.next.clicked.connect(lambda: self.run_intent(self.controller.step, 1))
        self.prefetch.toggled.connect(self.controller.set_prefetch)
        self.controller.changed.connect(self._show)
        for key, by in ((NEXT_CASE, 1), (PREVIOUS_CASE, -1)):
            self.viewer.bind_key(key, self._step_handler(by), overwrite=True)
        self._show()

    def open_folder(self, folder: Path) -> None:
        """Open a folder of cases."""
        self.run_intent(self.controller.open, folder)

    def _step_handler(self, by: int) -> object:
        def step(_: object) -> None:
            self.run_intent(self.controller.step, by)

        return step

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a folder of cases")
        if path:
            self.open_folder(Path(path))

    def _show(self) -> None:
        worklist, current = self.controller.worklist, self.controller.current
        self.cases.setVisible(worklist is not None)
        count = len(worklist.cases) if worklist else 0
        self.next.setEnabled((-1 if current is None else current) + 1 < count)
        self.previous.setEnabled(bool(current))
        if worklist is None:
            return
        self.cases.setRowCount(count)
        for k, case in enumerate(worklist.cases):
            for column, text in enumerate((case.name, worklist.status(k).stage)):
                item = QTableWidgetItem(text)
                font = item.font()
                font.setBold(k == current)
                item.setFont(font)
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
                self.cases.setItem(k, column, item)
        self.cases.setCurrentCell(-1 if current is None else current, 0)
        self.cases.setMinimumHeight(min(360, 32 * count + 32))
        exported = sum(worklist.status(k).stage == "exported" for k in range(count))
        self.state.set_text(
            f"{count_text(count, 'case')}, {exported} exported. Saved in {worklist.state_folder}"
        )
