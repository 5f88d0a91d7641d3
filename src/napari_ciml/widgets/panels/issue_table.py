"""Table of the issues of a label map, each with a button that fixes it."""

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from napari_ciml.metrics.label_checks import LabelIssue
from napari_ciml.widgets.panels.common import button, set_up_table

MOST_LISTED = 100
"""Number of issues that are listed."""


class IssueTable(QTableWidget):
    """List issues; one can be selected, or fixed by its button.

    Parameters
    ----------
    button_width : int
        Width of the column of buttons in pixels.

    Signals
    -------
    fix_requested(LabelIssue)
        The button of an issue was pressed.
    """

    fix_requested = Signal(object)

    def __init__(self, button_width: int) -> None:
        super().__init__()
        self.listed: Sequence[LabelIssue] = ()
        set_up_table(self, "Issue", "")
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setToolTip("Select an issue to go to it.")
        self.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        self.horizontalHeader().resizeSection(1, button_width)

    def issue_at(self, row: int) -> LabelIssue | None:
        """Return the issue of a row."""
        return self.listed[row] if 0 <= row < len(self.listed) else None

    def show_issues(self, issues: Sequence[LabelIssue]) -> None:
        """List the first issues; the table is hidden if there are none."""
        self.listed = issues[:MOST_LISTED]
        self.setVisible(bool(issues))
        with QSignalBlocker(self):
            self.setRowCount(len(self.listed))
            for row, issue in enumerate(self.listed):
                item = QTableWidgetItem(issue.sentence)
                item.setToolTip(issue.sentence)
                self.setItem(row, 0, item)
                fix = button("Fix", "Assign the label of the surrounding voxels.")
                fix.setEnabled(issue.value is not None)
                fix.clicked.connect(lambda _, i=issue: self.fix_requested.emit(i))
                self.setCellWidget(row, 1, fix)
                self.setRowHeight(row, 2 * self.fontMetrics().lineSpacing() + 10)
