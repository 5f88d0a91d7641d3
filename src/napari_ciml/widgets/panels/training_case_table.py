"""Table of further cases of a fine-tune: open cases that were added, and folders."""

from pathlib import Path

from qtpy.QtWidgets import (
    QComboBox,
    QHeaderView,
    QSizePolicy,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Region
from napari_ciml.training.finetune.inputs import CorrectedCase, FineTuneInput
from napari_ciml.widgets.panels.common import button, table
from napari_ciml.widgets.panels.label_convention import LabelConventionBox

_TRAIN, _REPLAY = "train", "replay"
_ROW, _MOST_ROWS = 30, 5


class TrainingCaseTable(QWidget):
    """Cases besides the open one with their roles; hidden while it is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[CorrectedCase | Path] = []
        self.rows = table("Case", "Role", "Labels", "")
        header = self.rows.horizontalHeader()
        for index in (1, 2, 3):
            header.setSectionResizeMode(index, QHeaderView.ResizeMode.ResizeToContents)
        self.rows.setToolTip(
            "Further cases. Train: fine-tune on it. Replay: keep the accuracy on it."
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.rows)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._fit()

    def add(self, source: CorrectedCase | Path, regions: tuple[Region, ...] = ()) -> None:
        """Add a case or a folder; a case that is listed already is replaced.

        ``regions`` is its label convention, if not that of the decomposition.
        """
        name = source.name if isinstance(source, Path) else source.case.name
        matches = [k for k, old in enumerate(self.sources) if _same(old, source)]
        if matches:
            self.sources[matches[0]] = source
            self.convention(matches[0]).set_regions(regions)
            return
        self.sources.append(source)
        index = self.rows.rowCount()
        self.rows.insertRow(index)
        item = QTableWidgetItem(name or "case")
        item.setToolTip(
            str(source) if isinstance(source, Path) else "Case with its label map, in memory."
        )
        self.rows.setItem(index, 0, item)
        role = QComboBox()
        role.addItems([_TRAIN, _REPLAY])
        role.setToolTip("Train: fine-tune on this case. Replay: keep the accuracy on it.")
        self.rows.setCellWidget(index, 1, role)
        convention = LabelConventionBox()
        convention.set_regions(regions)
        self.rows.setCellWidget(index, 2, convention)
        remove = button("Remove", "Remove this case from the list.")
        remove.clicked.connect(lambda: self._remove(role))
        self.rows.setCellWidget(index, 3, remove)
        self._fit()

    def inputs(self, exclude: Case | None = None) -> list[FineTuneInput]:
        """Return the listed inputs, except those of one case."""
        return [
            FineTuneInput(
                source,
                learn=self.role(k).currentText() == _TRAIN,
                regions=self.convention(k).regions(),
            )
            for k, source in enumerate(self.sources)
            if isinstance(source, Path) or source.case is not exclude
        ]

    def role(self, index: int) -> QComboBox:
        """Return the role box of a row."""
        widget = self.rows.cellWidget(index, 1)
        assert isinstance(widget, QComboBox)
        return widget

    def convention(self, index: int) -> LabelConventionBox:
        """Return the label convention box of a row."""
        widget = self.rows.cellWidget(index, 2)
        assert isinstance(widget, LabelConventionBox)
        return widget

    def _remove(self, role: QComboBox) -> None:
        index = next(k for k in range(len(self.sources)) if self.rows.cellWidget(k, 1) is role)
        del self.sources[index]
        self.rows.removeRow(index)
        self._fit()

    def _fit(self) -> None:
        self.setVisible(bool(self.sources))
        self.rows.setFixedHeight(_ROW * (min(len(self.sources), _MOST_ROWS) + 1))


def _same(old: CorrectedCase | Path, new: CorrectedCase | Path) -> bool:
    if isinstance(old, Path) or isinstance(new, Path):
        return old == new
    return old.case is new.case
