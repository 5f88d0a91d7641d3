"""Changes by the last edit: description, volumes, Dice, changed voxels."""

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QComboBox, QTableWidgetItem, QVBoxLayout, QWidget

from napari_ciml.session.comparison import ALL, RegionChange
from napari_ciml.widgets.controllers.session import Session
from napari_ciml.widgets.layers.run_comparison import ADDED_COLOUR, REMOVED_COLOUR
from napari_ciml.widgets.panels.common import WrappingLabel, label, row, table

_NONE = "none"


class ChangePanel(QWidget):
    """Show what the last edit changed in the segmentation.

    Parameters
    ----------
    session : Session
        Session whose runs are compared.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.live, self.model = session.live, session.model
        self.summary = WrappingLabel()
        self.table = table("Region", "mL", "Change", "Dice")
        self.table.setToolTip("Volume, change of the volume in mL, and Dice with the previous run.")
        self.shown = QComboBox()
        self.shown.setToolTip("Show the voxels that the last edit added or removed as a layer.")
        self.legend = label(
            f'<span style="color: {ADDED_COLOUR}">■</span> added '
            f'<span style="color: {REMOVED_COLOUR}">■</span> removed'
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.summary)
        column.addWidget(self.table)
        column.addLayout(row(label("Show changes in"), self.shown))
        column.addWidget(self.legend)
        self.shown.activated.connect(self._choose)
        self.live.changed.connect(self._show)
        self._show()

    def _choose(self) -> None:
        name = self.shown.currentText()
        self.live.show(None if name == _NONE else name)

    def _show(self) -> None:
        change = self.model.change
        self.setVisible(change is not None)
        if change is None:
            return
        self.summary.set_text(f"{change.cause} (compared with {change.against})")
        self.table.setRowCount(len(change.regions))
        for k, (name, region) in enumerate(change.regions.items()):
            texts = (name, f"{region.after_ml:.1f}", f"{region.ml:+.2f}", _dice_text(region))
            for column, text in enumerate(texts):
                self.table.setItem(k, column, QTableWidgetItem(text))
        self.table.setFixedHeight(26 * len(change.regions) + 28)
        self.table.verticalHeader().setDefaultSectionSize(26)
        with QSignalBlocker(self.shown):
            self.shown.clear()
            self.shown.addItems([ALL, *change.regions, _NONE])
            self.shown.setCurrentText(self.live.shown or _NONE)


def _dice_text(region: RegionChange) -> str:
    """Return the Dice with the previous run, and of both with the reference if there is one."""
    if region.to_reference is None:
        return f"{region.dice:.3f}"
    before, after = region.to_reference
    return f"{region.dice:.3f}; reference {before:.3f} → {after:.3f}"
