"""Sensitivity table: the effect of muting each message in turn."""

from qtpy.QtWidgets import QHeaderView, QTableWidgetItem, QVBoxLayout, QWidget

from napari_ciml.explanation.result import MutingEffect
from napari_ciml.widgets.controllers.explanation import MUTING
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, table
from napari_ciml.widgets.panels.dock import Dock, save_table
from napari_ciml.widgets.panels.job_bar import JobBar

_TIP = (
    "Mute each message in turn and measure the change against this run, from cached features. "
    "The largest effect comes first."
)


class SensitivityPanel(QWidget):
    """Compute and show the sensitivity table.

    Parameters
    ----------
    dock : Dock
        Dock widget that holds the panel and shows errors.
    """

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock, self.model, self.explanation = dock, dock.model, dock.session.explanation
        self.run = button("Sensitivity", _TIP)
        self.jobs = JobBar(dock, MUTING)
        self.summary = WrappingLabel(colour=QUIET_COLOUR)
        self.effects = table("Muted")
        self.save = button("Save table ...", "Save this table as CSV.")
        self.effects.setToolTip("Change of each region when a message is muted: mL and Dice.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.run, self.jobs, self.summary, self.effects, self.save):
            column.addWidget(part)
        self.run.clicked.connect(lambda: dock.run_intent(self.explanation.measure_sensitivity))
        self.save.clicked.connect(self._save)
        self.explanation.sensitivity_changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        effects = self.explanation.sensitivity
        self.run.setEnabled(self.model.segmentation is not None)
        for part in (self.effects, self.save):
            part.setVisible(bool(effects))
        self.summary.set_text("" if effects is None else "This run has no messages.")
        if effects:
            self._fill(effects)

    def _fill(self, effects: tuple[MutingEffect, ...]) -> None:
        names = list(effects[0].ml)
        self.effects.setColumnCount(1 + len(names))
        self.effects.setHorizontalHeaderLabels(["Muted", *names])
        self.effects.setRowCount(len(effects))
        for k, effect in enumerate(effects):
            message = effect.message
            self.effects.setItem(
                k, 0, QTableWidgetItem(f"{message.auxiliary} to {message.primary}")
            )
            for column, name in enumerate(names, 1):
                text = f"{effect.ml[name]:+.1f}  ({effect.dice[name]:.3f})"
                self.effects.setItem(k, column, QTableWidgetItem(text))
        self.summary.set_text("Change in mL, Dice with this run in brackets; largest effect first.")
        self.effects.verticalHeader().setDefaultSectionSize(24)
        header = self.effects.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.effects.setMinimumHeight(min(len(effects), 6) * 24 + 30)

    def _save(self) -> None:
        rows = [
            {
                "primary": effect.message.primary,
                "auxiliary": effect.message.auxiliary,
                "region": region,
                "change_ml": round(effect.ml[region], 3),
                "dice": round(effect.dice[region], 4),
            }
            for effect in self.explanation.sensitivity or ()
            for region in effect.ml
        ]
        save_table(self.dock, "sensitivity.csv", rows)
