"""Table of lesions with their size and confidence, and a check box for reviewed ones."""

from collections.abc import Callable, Sequence

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from napari_ciml.lesions import Lesion
from napari_ciml.widgets.panels.common import QUIET_COLOUR, set_up_table
from napari_ciml.widgets.panels.readable_colours import readable
from napari_ciml.widgets.panels.texts import confidence_text, size_text

_CHECK_BOX_STYLE = (
    "QTableView::indicator { width: 12px; height: 12px; border: 2px solid #7f868e }"
    "QTableView::indicator:checked { background: #2f6db5 }"
)
"""napari's own check boxes are invisible on the background of a table."""


class LesionTable(QTableWidget):
    """List lesions; one can be selected and marked as reviewed.

    Signals
    -------
    marked(Lesion, bool)
        A check box was ticked or cleared by the user.
    """

    marked = Signal(object, bool)

    def __init__(self) -> None:
        super().__init__()
        self.lesions: Sequence[Lesion] = ()
        set_up_table(self, "Done", "Lesion", "Confidence")
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        for column in (0, 1):
            self.horizontalHeader().setSectionResizeMode(
                column, QHeaderView.ResizeMode.ResizeToContents
            )
        self.setStyleSheet(_CHECK_BOX_STYLE)
        self.setToolTip(
            "Select a lesion to go to it, double-click to explain it; Space marks it as reviewed."
        )
        self.itemChanged.connect(self._on_item_changed)

    def selected(self) -> Lesion | None:
        """Return the selected lesion."""
        return self.lesion_at(self.currentRow())

    def lesion_at(self, row: int) -> Lesion | None:
        """Return the lesion of a row."""
        return self.lesions[row] if 0 <= row < len(self.lesions) else None

    def show_lesions(self, lesions: Sequence[Lesion]) -> None:
        """List lesions, none of them selected."""
        self.lesions = lesions
        with QSignalBlocker(self):
            self.setCurrentCell(-1, -1)
            self.setRowCount(len(lesions))
            for row, lesion in enumerate(lesions):
                self.setItem(row, 0, _check_box())
                for column, text in enumerate((size_text(lesion), confidence_text(lesion)), 1):
                    item = QTableWidgetItem(text)
                    item.setToolTip(text)
                    self.setItem(row, column, item)

    def show_marks(self, is_reviewed: Callable[[Lesion], bool]) -> int:
        """Tick and grey reviewed lesions, and return their number.

        The order stays, so that no row jumps under the mouse.
        """
        grey = readable(QUIET_COLOUR, self.palette().base().color())
        marks = [is_reviewed(lesion) for lesion in self.lesions]
        with QSignalBlocker(self):
            for row, reviewed in enumerate(marks):
                state = Qt.CheckState.Checked if reviewed else Qt.CheckState.Unchecked
                self.item(row, 0).setCheckState(state)
                colour = grey if reviewed else None
                for column in (1, 2):
                    self.item(row, column).setData(Qt.ItemDataRole.ForegroundRole, colour)
        return sum(marks)

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        lesion = self.lesion_at(item.row())
        if item.column() == 0 and lesion is not None:
            self.marked.emit(lesion, item.checkState() == Qt.CheckState.Checked)


def _check_box() -> QTableWidgetItem:
    item = QTableWidgetItem()
    flag = Qt.ItemFlag
    item.setFlags(flag.ItemIsUserCheckable | flag.ItemIsEnabled | flag.ItemIsSelectable)
    return item
