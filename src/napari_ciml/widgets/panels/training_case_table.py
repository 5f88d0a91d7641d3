"""The list of further cases of a fine-tune: cases kept, and folders."""

from pathlib import Path

from qtpy.QtWidgets import QComboBox, QSizePolicy, QTableWidgetItem, QVBoxLayout, QWidget

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Region
from napari_ciml.training.finetune.inputs import CorrectedCase, FineTuneInput
from napari_ciml.widgets.panels.common import button, table
from napari_ciml.widgets.panels.label_convention import LabelConventionBox

_LEARN, _REMEMBER = "learn from", "not to forget"
_ROW, _MOST_ROWS = 30, 5


class TrainingCaseTable(QWidget):
    """Cases beside the open one, and what each is for; takes no room while it is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[CorrectedCase | Path] = []
        self.rows = table("Case", "What for", "Labels", "")
        self.rows.setToolTip("Further cases, and whether to learn from them or not forget them.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.rows)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._fit()

    def add(self, source: CorrectedCase | Path, regions: tuple[Region, ...] = ()) -> None:
        """Add a case or a folder; a case that is there already takes the place of the old one.

        ``regions`` is what its label values mean, if not what the decomposition says.
        """
        name = source.name if isinstance(source, Path) else source.case.name
        known = [k for k, old in enumerate(self.sources) if _same(old, source)]
        if known:
            self.sources[known[0]] = source
            self.convention(known[0]).set_regions(regions)
            return
        self.sources.append(source)
        place = self.rows.rowCount()
        self.rows.insertRow(place)
        item = QTableWidgetItem(name or "case")
        item.setToolTip(str(source) if isinstance(source, Path) else "Kept with its labels.")
        self.rows.setItem(place, 0, item)
        purpose = QComboBox()
        purpose.addItems([_LEARN, _REMEMBER])
        purpose.setToolTip("Learn from this case, or see that it is not forgotten.")
        self.rows.setCellWidget(place, 1, purpose)
        meanings = LabelConventionBox()
        meanings.set_regions(regions)
        self.rows.setCellWidget(place, 2, meanings)
        remove = button("Remove", "Leave it out.")
        remove.clicked.connect(lambda: self._remove(purpose))
        self.rows.setCellWidget(place, 3, remove)
        self._fit()

    def inputs(self, but: Case | None = None) -> list[FineTuneInput]:
        """Return what is listed, but for one case."""
        return [
            FineTuneInput(
                source,
                learn=self.purpose(k).currentText() == _LEARN,
                regions=self.convention(k).regions(),
            )
            for k, source in enumerate(self.sources)
            if isinstance(source, Path) or source.case is not but
        ]

    def purpose(self, place: int) -> QComboBox:
        """Return the box that says what a row is for."""
        found = self.rows.cellWidget(place, 1)
        assert isinstance(found, QComboBox)
        return found

    def convention(self, place: int) -> LabelConventionBox:
        """Return the box that says what a row's label values mean."""
        found = self.rows.cellWidget(place, 2)
        assert isinstance(found, LabelConventionBox)
        return found

    def _remove(self, purpose: QComboBox) -> None:
        place = next(k for k in range(len(self.sources)) if self.rows.cellWidget(k, 1) is purpose)
        del self.sources[place]
        self.rows.removeRow(place)
        self._fit()

    def _fit(self) -> None:
        self.setVisible(bool(self.sources))
        self.rows.setFixedHeight(_ROW * (min(len(self.sources), _MOST_ROWS) + 1))


def _same(old: CorrectedCase | Path, new: CorrectedCase | Path) -> bool:
    if isinstance(old, Path) or isinstance(new, Path):
        return old == new
    return old.case is new.case
