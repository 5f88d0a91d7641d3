"""The sensitivity table: every message muted in turn, and what that costs."""

from qtpy.QtWidgets import QHeaderView, QTableWidgetItem, QVBoxLayout, QWidget

from napari_ciml.explanation.result import MutingEffect
from napari_ciml.progress import ProgressMonitor
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, table
from napari_ciml.widgets.panels.dock import Dock, save_table
from napari_ciml.widgets.panels.job_bar import JobBar

TITLE = "Muting every message"

_TIP = (
    "Mute every message in turn, from what is kept, and say what it costs against this run. "
    "The costliest comes first."
)


class SensitivityPanel(QWidget):
    """Asks for the sensitivity table and shows it.

    Parameters
    ----------
    dock : Dock
        Whose session is asked.
    """

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock, self.session, self.model = dock, dock.session, dock.session.model
        self.run = button("Sensitivity", _TIP)
        self.jobs = JobBar(dock, TITLE)
        self.summary = WrappingLabel(colour=QUIET_COLOUR)
        self.effects = table("Muted")
        self.save = button("Save table ...", "Save what every muting costs as CSV.")
        self._costs: tuple[MutingEffect, ...] = ()
        self.effects.setToolTip("What each muting changes, region by region.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.run, self.jobs, self.summary, self.effects, self.save):
            column.addWidget(part)
        self.run.clicked.connect(lambda: dock.run_intent(self._ask))
        self.save.clicked.connect(self._save)
        self.model.segmentation_changed.connect(self._clear)
        self._clear()

    def _ask(self) -> None:
        case, path = self.session.segmentation.require_ready()
        segmentation = self.model.segmentation
        assert segmentation is not None

        def work(monitor: ProgressMonitor) -> tuple[MutingEffect, ...]:
            from napari_ciml.explanation.sensitivity import sensitivity
            from napari_ciml.widgets.controllers.checkpoint_cache import load_checkpoint

            return sensitivity(case, load_checkpoint(path), segmentation, monitor)

        def done(costs: tuple[MutingEffect, ...]) -> None:
            if self.model.segmentation is segmentation:
                self._show(costs)

        self.session.runner.submit(TITLE, work, done)

    def _clear(self) -> None:
        self.run.setEnabled(self.model.segmentation is not None)
        for part in (self.effects, self.save):
            part.hide()
        self.summary.set_text("")

    def _show(self, costs: tuple[MutingEffect, ...]) -> None:
        if not costs:
            self.summary.set_text("This run passes no message.")
            return
        names = list(costs[0].ml)
        self.effects.setColumnCount(1 + len(names))
        self.effects.setHorizontalHeaderLabels(["Muted", *names])
        self.effects.setRowCount(len(costs))
        for k, cost in enumerate(costs):
            message = cost.message
            self.effects.setItem(
                k, 0, QTableWidgetItem(f"{message.auxiliary} for {message.primary}")
            )
            for column, name in enumerate(names, 1):
                text = f"{cost.ml[name]:+.1f}  ({cost.dice[name]:.3f})"
                self.effects.setItem(k, column, QTableWidgetItem(text))
        self.summary.set_text(
            "Change in mL, and Dice with this run in brackets; the costliest first."
        )
        self.effects.verticalHeader().setDefaultSectionSize(24)
        header = self.effects.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        self.effects.setMinimumHeight(min(len(costs), 6) * 24 + 30)
        self._costs = costs
        for part in (self.effects, self.save):
            part.show()

    def _save(self) -> None:
        rows = [
            {
                "primary": cost.message.primary,
                "auxiliary": cost.message.auxiliary,
                "region": region,
                "change_ml": round(cost.ml[region], 3),
                "dice": round(cost.dice[region], 4),
            }
            for cost in self._costs
            for region in cost.ml
        ]
        save_table(self.dock, "sensitivity.csv", rows)
