"""The controller of fine-tuning: beside the session, on a thread of its own, giving way to it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from qtpy.QtCore import QObject, Signal

from napari_ciml.errors import CimlError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.finetune.inputs import (
    FineTuneInput,
    FineTuneTarget,
    jobs_folder,
    prepare,
)
from napari_ciml.training.settings import FineTuneSettings
from napari_ciml.widgets.controllers.session import Session
from napari_ciml.widgets.jobs import JobRunner

if TYPE_CHECKING:
    from napari_ciml.training.finetune.job import FineTuneJobFolder
    from napari_ciml.training.finetune.results import Controls, FineTuneResult


class FineTuneController(QObject):
    """Fine-tunes the checkpoint in use, and keeps its versions.

    While the session's queue is busy, fine-tuning pauses between two steps: there is one device.

    Signals
    -------
    progressed(Progressed)
        After a step, not more often than the window can draw.
    changed()
        It began, paused, went on, or ended.
    """

    progressed = Signal(object)
    changed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.runner = JobRunner(self)
        self.controls: Controls | None = None
        self.result: FineTuneResult | None = None
        self.before: Path | None = None
        self.interrupted: FineTuneJobFolder | None = None
        self.paused = False
        self._folder: FineTuneJobFolder | None = None
        self._discarding = False
        self.runner.cancelled.connect(self._cancelled)
        self.runner.idle.connect(self.look_for_interrupted)
        session.runner.started.connect(self._give_way)
        session.runner.idle.connect(self._give_way)
        for signal in (self.runner.started, self.runner.cancelled):
            signal.connect(lambda *_: self.changed.emit())

    @property
    def running(self) -> bool:
        """Whether a fine-tune is under way."""
        return self.runner.busy

    @property
    def waits(self) -> bool:
        """Whether it waits for the session's queue."""
        return self.running and self.session.runner.busy

    def start(self, materials: Sequence[FineTuneInput], settings: FineTuneSettings) -> None:
        """Learn from corrected cases.

        Parameters
        ----------
        materials : sequence of Material
            At least one to learn from. If none is not to be forgotten, the samples of the same
            modalities stand in.
        settings : FineTuneSettings
            What to adapt, for how long.

        Raises
        ------
        CimlError
            If one is under way, there is nothing to learn from, or no checkpoint is chosen.
        """
        model = self.session.model
        if self.running:
            raise CimlError("A fine-tune is under way; stop it first.")
        if model.checkpoint is None or not any(material.learn for material in materials):
            raise CimlError("Open a case and choose the labels to learn from first.")
        from napari_ciml.training.finetune.job import FineTuneJobFolder

        using = FineTuneTarget(model.checkpoint, model.decomposition, model.device)
        folder = FineTuneJobFolder(jobs_folder() / uuid4().hex)

        def ready(monitor: ProgressMonitor) -> None:
            try:
                prepare(folder, materials, settings, using, monitor)
            except BaseException:
                folder.forget()
                raise

        self._run(folder, ready)

    def resume_interrupted(self) -> None:
        """Go on with the fine-tune that was interrupted."""
        if self.interrupted is not None and not self.running:
            self._run(self.interrupted, lambda _: None)

    def discard_interrupted(self) -> None:
        """Forget the fine-tune that was interrupted."""
        if self.interrupted is not None:
            self.interrupted.forget()
        self.look_for_interrupted()

    def look_for_interrupted(self) -> None:
        """See whether a fine-tune was interrupted, here or in another window."""
        self.interrupted = None
        # The import takes its time, and is needed only if something is there.
        if jobs_folder().is_dir() and any(jobs_folder().iterdir()):
            from napari_ciml.training.finetune.job import find_interrupted_jobs

            self.interrupted = next(iter(find_interrupted_jobs(jobs_folder())), None)
        self.changed.emit()

    def _run(self, folder: "FineTuneJobFolder", ready: Callable[[ProgressMonitor], None]) -> None:
        from napari_ciml.training.finetune.results import Controls, StepReport

        def report(progress: StepReport) -> None:
            self.progressed.emit(progress)

        controls = Controls(progressed=report)
        self.controls, self.result, self.paused = controls, None, False
        self.interrupted, self._folder = None, folder
        self._give_way()

        def work(monitor: ProgressMonitor) -> "FineTuneResult":
            from napari_ciml.training.finetune.learn import run_job

            ready(monitor)
            return run_job(folder, monitor, controls)

        self.runner.submit("Learning", work, self._ended)

    def pause(self, paused: bool) -> None:
        """Hold, or go on."""
        self.paused = paused
        self._give_way()

    def finish(self) -> None:
        """End now with the best version so far."""
        if self.controls is not None:
            self.controls.finish.set()
            self.paused = False
            self._give_way()

    def discard(self) -> None:
        """End now and forget it."""
        self._discarding = True
        self.runner.cancel()
        if self.controls is not None:
            self.controls.pause.clear()

    def adopt(self) -> None:
        """Use the new version from now on; the one before stays where it is."""
        if self.result is not None:
            self.before = self.session.model.checkpoint
            self.session.model.set_checkpoint(self.result.path)
            self.changed.emit()

    def go_back(self) -> None:
        """Use the version before again."""
        if self.before is not None:
            path, self.before = self.before, None
            self.session.model.set_checkpoint(path)
            self.changed.emit()

    def close(self) -> None:
        """Stop; it can be gone on with, and the best version so far is on disk."""
        if self.controls is not None:
            self.controls.pause.clear()
        self.runner.close()

    def _give_way(self, *_: object) -> None:
        if self.controls is not None:
            wait = self.paused or self.session.runner.busy
            (self.controls.pause.set if wait else self.controls.pause.clear)()
        self.changed.emit()

    def _ended(self, result: "FineTuneResult") -> None:
        self.result = result

    def _cancelled(self, *_: object) -> None:
        if self._discarding and self._folder is not None:
            self._folder.forget()
        self._discarding = False
