"""Progress of background jobs: a bar, the stage in words, a cancel button."""

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_ciml.widgets.jobs import JobRunner
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, row
from napari_ciml.widgets.panels.dock import Dock


class JobBar(QWidget):
    """Progress bar, stage, notices and cancel button of the running job.

    Parameters
    ----------
    dock : Dock
        Dock widget that shows the error of a job.
    titles : tuple of str
        Titles of the jobs whose notices and errors are shown; of others only the progress.
    runner : JobRunner, optional
        Runner of the jobs; the session's by default.
    """

    def __init__(self, dock: Dock, *titles: str, runner: JobRunner | None = None) -> None:
        super().__init__()
        self.dock, self.titles = dock, titles
        self._current = ""
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.stage = WrappingLabel(colour=QUIET_COLOUR)
        self.notices = WrappingLabel()
        self.cancel = button("Cancel", "Cancel the running job; previous results are kept.")
        runner = runner or dock.session.jobs.main
        self.cancel.clicked.connect(runner.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(self.bar, self.cancel))
        layout.addWidget(self.stage)
        layout.addWidget(self.notices)
        self._set_running(running=False)
        runner.started.connect(self._on_started)
        runner.queued.connect(self._on_queued)
        runner.progressed.connect(self._on_progress)
        runner.notified.connect(self._on_told)
        runner.failed.connect(self._on_failed)
        runner.cancelled.connect(self._on_cancelled)
        runner.idle.connect(self._on_idle)

    def _on_started(self, title: str) -> None:
        self._current = title
        self._set_running(running=True)
        self._advance(0, 0)
        self.stage.set_text(f"{title} ...")
        if title in self.titles:
            self.notices.set_text("")
            self.dock.show_error("")

    def _on_queued(self, title: str, place: int) -> None:
        if title in self.titles:
            self.notices.set_text(f"{title}: queued (position {place}).")

    def _on_progress(self, stage: str, done: int, total: int) -> None:
        self._advance(done, total)
        self.stage.set_text(f"{stage} ({done} of {total})" if total else f"{stage} ...")

    def _on_told(self, sentence: str) -> None:
        if self._current in self.titles:
            self.notices.set_text("\n".join(filter(None, (self.notices.text(), sentence))))

    def _on_failed(self, sentence: str, details: str) -> None:
        if self._current in self.titles:
            self.dock.show_error(sentence, details)

    def _on_cancelled(self, title: str) -> None:
        if title in self.titles:
            self.notices.set_text(f"{title} was cancelled; previous results are kept.")

    def _on_idle(self) -> None:
        self._current = ""
        self._set_running(running=False)
        self.stage.set_text("")

    def _advance(self, done: int, total: int) -> None:
        """Update the bar; it stays empty while the total is unknown.

        An animated bar, or one that redraws itself at once, would make a window with a canvas
        recompose again and again.
        """
        self.bar.setUpdatesEnabled(False)
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.bar.setUpdatesEnabled(True)

    def _set_running(self, *, running: bool) -> None:
        self.bar.setVisible(running)
        self.cancel.setVisible(running)
