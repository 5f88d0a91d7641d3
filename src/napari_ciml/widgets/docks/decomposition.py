"""The dock widget *Decomposition*: roles of modalities and regions of each subtask."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QPushButton, QTableWidgetItem

from napari_ciml.decomposition import edits
from napari_ciml.decomposition.model import Decomposition, ValidationIssue
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.files import write_text
from napari_ciml.widgets.controllers.explanation import EXPLAINING_EDIT
from napari_ciml.widgets.controllers.segmentation import FOLLOWING
from napari_ciml.widgets.panels.common import (
    ERROR_COLOUR,
    QUIET_COLOUR,
    WrappingLabel,
    button,
    centred,
    row,
    table,
)
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.job_bar import JobBar
from napari_ciml.widgets.panels.readable_colours import readable
from napari_ciml.widgets.panels.run_change import ChangePanel
from napari_ciml.widgets.panels.texts import label_values_text
from napari_ciml.widgets.panels.threshold_sliders import ThresholdSliders

if TYPE_CHECKING:
    from napari.viewer import Viewer

_ROLE_STYLES = {
    "primary": ("P", "background: #2f6db5; color: white; font-weight: bold"),
    "auxiliary": ("a", "background: #3d5a45; color: white"),
    "off": ("-", "background: transparent; color: #888"),
}
_ROLE_TIPS = {
    "primary": "primary: this subtask segments it",
    "auxiliary": "auxiliary: it sends messages to the primary",
    "off": "off: not used in this subtask",
}
_ROW_HEIGHT = 29
"""Pixels."""

_HELP = (
    "One row per subtask. P: primary, a: auxiliary, -: off (click to change). Ticked: regions it "
    "predicts. A region's probability is the weighted mean over its subtasks."
)


class DecompositionWidget(Dock):
    """Edit which modality is primary for which regions, and which are auxiliary.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Viewer whose session the dock widget shows.
    """

    def __init__(self, napari_viewer: "Viewer") -> None:
        super().__init__(napari_viewer, scrolls=True)
        self.presets = QComboBox()
        self.presets.setToolTip("Predefined decompositions. An edited one can be saved to a file.")
        self.grid = table()
        self.grid.verticalHeader().setVisible(True)
        self.grid.setToolTip("Role of each modality and regions of each subtask.")
        self.grid.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.problems = WrappingLabel(colour=ERROR_COLOUR)
        self.regions = WrappingLabel(colour=QUIET_COLOUR)
        self.add = button("Add subtask", "Add a subtask for a modality that is not primary yet.")
        self.remove = button("Remove subtask", "Remove the selected subtask.")
        self.save = button("Save ...", "Save this decomposition to a YAML file.")
        self.open = button("Open ...", "Open a decomposition from a YAML file.")
        self.live = QCheckBox("Live")
        self.live.setToolTip(
            "Segment automatically after each edit; only what the edit affects is computed again."
        )
        self.live.setChecked(self.session.live.on)
        self.undo = button("↶", "Undo the last edit (Alt + Z).")
        self.redo = button("↷", "Redo the edit that was undone (Alt + Shift + Z).")
        for part, name, key in (
            (self.undo, "Undo", "Alt+Z"),
            (self.redo, "Redo", "Alt+Shift+Z"),
        ):
            part.setAccessibleName(name)
            part.setShortcut(key)
            part.setFixedWidth(32)
        self.jobs = JobBar(self, FOLLOWING, EXPLAINING_EDIT)
        self.change = ChangePanel(self.session)
        self.sliders = ThresholdSliders(self.model)
        self.column.addLayout(row(self.presets, self.live, self.undo, self.redo, widest=0))
        self.column.addWidget(WrappingLabel(_HELP, QUIET_COLOUR))
        self.column.addWidget(self.grid)
        for part in (self.problems, self.jobs, self.change, self.sliders, self.regions):
            self.column.addWidget(part)
        self.column.addLayout(row(self.add, self.remove))
        self.column.addLayout(row(self.save, self.open))
        self.column.addStretch()
        self.add_footer()
        self.presets.activated.connect(self._choose)
        self.live.toggled.connect(self.session.live.set_on)
        self.session.live.changed.connect(self._show_live)
        self.undo.clicked.connect(self.model.undo)
        self.redo.clicked.connect(self.model.redo)
        self.add.clicked.connect(lambda: self._edit(edits.with_subtask))
        self.remove.clicked.connect(self._remove_row)
        self.save.clicked.connect(self._ask_save)
        self.open.clicked.connect(self._ask_open)
        self.model.decomposition_changed.connect(self._show)
        self.model.request_changed.connect(self._show_request)
        self.model.checkpoint_changed.connect(self._show)
        self.model.case_changed.connect(self._show)
        self.viewer.events.theme.connect(self._show)
        self._show()
        self._show_request()

    def _show_live(self) -> None:
        self.live.setChecked(self.session.live.on)

    def role_button(self, row_index: int, modality: str) -> QPushButton:
        """Return the role button of a modality in a subtask's row."""
        column = self.model.decomposition.modalities.index(modality)
        widget = self.grid.cellWidget(row_index, column)
        assert isinstance(widget, QPushButton)
        return widget

    def region_box(self, row_index: int, region: str) -> QCheckBox:
        """Return the check box of a region in a subtask's row."""
        decomposition = self.model.decomposition
        column = len(decomposition.modalities) + decomposition.region_names.index(region)
        widget = self.grid.cellWidget(row_index, column).findChild(QCheckBox)
        assert isinstance(widget, QCheckBox)
        return widget

    def _choose(self) -> None:
        name = self.presets.currentText()
        if name in PRESETS:
            self.model.set_decomposition(PRESETS[name])

    def _edit(self, change: object, *args: object) -> None:
        self.model.set_decomposition(change(self.model.decomposition, *args))  # type: ignore[operator]

    def _cycle(self, row_index: int, modality: str) -> None:
        task = self.model.decomposition.subtasks[row_index]
        role = edits.next_role(edits.role_of(task, modality))
        self._edit(edits.with_role, row_index, modality, role)

    def _remove_row(self) -> None:
        if 0 <= self.grid.currentRow() < len(self.model.decomposition.subtasks):
            self._edit(edits.without_subtask, self.grid.currentRow())
        else:
            self.show_error("Select the subtask to remove first.")

    def _show(self, *_: object) -> None:
        decomposition, problems = self.model.decomposition, self.model.problems()
        self.show_error("")
        self._show_presets(decomposition)
        self.grid.setColumnCount(len(decomposition.modalities) + len(decomposition.regions))
        self.grid.setRowCount(len(decomposition.subtasks))
        self._show_header(decomposition, problems)
        for k in range(len(decomposition.subtasks)):
            self._show_row(decomposition, k, {p.where for p in problems})
        self.grid.setFixedHeight(_ROW_HEIGHT * max(1, len(decomposition.subtasks)) + 34)
        self._show_problems(problems)
        self.regions.set_text(label_values_text(decomposition.regions))

    def _show_request(self) -> None:
        self.undo.setEnabled(self.model.undo_stack.can_undo)
        self.redo.setEnabled(self.model.undo_stack.can_redo)
        self._show_problems(self.model.problems())

    def _show_problems(self, problems: tuple[ValidationIssue, ...]) -> None:
        self.problems.set_text("\n".join(f"• {problem.message}" for problem in problems))

    def _show_presets(self, decomposition: Decomposition) -> None:
        self.presets.clear()
        self.presets.addItems(PRESETS)
        if decomposition.name not in PRESETS:
            self.presets.addItem(decomposition.name)
        self.presets.setCurrentText(decomposition.name)

    def _show_header(
        self, decomposition: Decomposition, problems: tuple[ValidationIssue, ...]
    ) -> None:
        for k, name in enumerate((*decomposition.modalities, *decomposition.region_names)):
            item = QTableWidgetItem(name)
            messages = [p.message for p in problems if p.where == name]
            item.setToolTip("\n".join(messages) or name)
            if messages:
                item.setForeground(self._header_colour(ERROR_COLOUR))
            elif name in decomposition.region_names:
                item.setForeground(self._header_colour(decomposition.region(name).colour))
            self.grid.setHorizontalHeaderItem(k, item)

    def _show_row(self, decomposition: Decomposition, k: int, invalid: set[str]) -> None:
        task = decomposition.subtasks[k]
        invalid_row = task.name in invalid or not task.primary
        header = QTableWidgetItem(f"{k + 1} !" if invalid_row else str(k + 1))
        header.setForeground(self._header_colour(ERROR_COLOUR if invalid_row else QUIET_COLOUR))
        self.grid.setVerticalHeaderItem(k, header)
        for column, modality in enumerate(decomposition.modalities):
            role = edits.role_of(task, modality)
            cell = button(
                _ROLE_STYLES[role][0], f"{modality} is {_ROLE_TIPS[role]}. Click to change."
            )
            cell.setStyleSheet(f"QPushButton {{ {_ROLE_STYLES[role][1]}; border-radius: 3px }}")
            cell.setAccessibleName(f"{modality} in subtask {k + 1}: {role}")
            cell.clicked.connect(partial(self._cycle, k, modality))
            self.grid.setCellWidget(k, column, cell)
        for column, region in enumerate(decomposition.region_names, len(decomposition.modalities)):
            box = QCheckBox()
            box.setChecked(region in task.regions)
            box.setToolTip(f"Subtask {task.name or k + 1} predicts {region}.")
            box.toggled.connect(partial(self._edit, edits.with_region, k, region))
            self.grid.setCellWidget(k, column, centred(box))

    def _header_colour(self, colour: str) -> QColor:
        theme = get_theme(self.viewer.theme)
        return readable(colour, QColor(theme.primary.as_hex()))

    def _ask_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the decomposition", filter="YAML (*.yaml)"
        )
        if path:
            self.run_intent(self.write, Path(path))

    def write(self, path: Path) -> None:
        """Save the decomposition to a YAML file and name it after the file."""
        decomposition = self.model.decomposition.model_copy(update={"name": path.stem})
        write_text(path, decomposition.validated().to_yaml())
        self.model.set_decomposition(decomposition)

    def _ask_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Open a decomposition", filter="YAML (*.yaml *.yml)"
        )
        if path:
            self.run_intent(self.read, Path(path))

    def read(self, path: Path) -> None:
        """Open a decomposition from a YAML file; on an error the current one stays."""
        self.model.set_decomposition(Decomposition.read(path))
