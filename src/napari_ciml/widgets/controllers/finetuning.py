"""Fine-tune in the background: start, pause, adopt the result, go back."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_ciml.errors import CimlError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.finetune.inputs import (
    CorrectedCase,
    FineTuneInput,
    FineTuneTarget,
    jobs_folder,
    prepare,
)
from napari_ciml.training.settings import FineTuneSettings
from napari_ciml.widgets.controllers.context import Context

if TYPE_CHECKING:
    from napari_ciml.training.finetune.job import FineTuneJobFolder
    from napari_ciml.training.finetune.results import Controls, FineTuneResult, StepReport

TRAINING = "Fine-tuning"


class FineTuneController:
    """Fine-tunes the checkpoint in use.

    While the main queue is busy, fine-tuning pauses between two steps: there is one device.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.

    Attributes
    ----------
    result : FineTuneResult or None
        Of the last fine-tune.
    before : pathlib.Path or None
        The checkpoint in use before the result was adopted.
    interrupted : FineTuneJobFolder or None
        A fine-tune that was interrupted, in this window or another one.
    paused : bool
        Whether the user has paused it.

    Signals
    -------
    progressed(StepReport)
        After a step, not more often than the window can draw.
    changed()
        It began, was paused, went on, or ended.
    """

    progressed = Signal(object)
    changed = Signal()

    def __init__(self, context: Context) -> None:
        self.model, self.jobs = context.model, context.jobs
        self.result: FineTuneResult | None = None
        self.before: Path | None = None
        self.interrupted: FineTuneJobFolder | None = None
        self.paused = False
        self._controls: Controls | None = None
        self._folder: FineTuneJobFolder | None = None
        self._discarding = False
        training, main = self.jobs.training, self.jobs.main
        training.started.connect(self._on_training)
        training.cancelled.connect(self._on_cancelled)
        training.idle.connect(self.look_for_interrupted)
        main.started.connect(self._yield_device)
        main.idle.connect(self._yield_device)

    @property
    def running(self) -> bool:
        """Whether a fine-tune is under way."""
        return self.jobs.training.busy

    @property
    def waits(self) -> bool:
        """Whether it waits for the main queue."""
        return self.running and self.jobs.main.busy

    def corrected_case(self, labels: Labels | None, certain: Labels | None) -> CorrectedCase | None:
        """Return the open case with a label map to learn from.

        Parameters
        ----------
        labels : napari.layers.Labels or None
            Corrected label map, on the case grid.
        certain : napari.layers.Labels or None
            Non-zero where the label map is corrected; everywhere if None.
        """
        case = self.model.case
        if case is None or labels is None:
            return None
        mask = None if certain is None else np.asarray(certain.data) > 0
        return CorrectedCase(case, np.array(labels.data), mask)

    def start(self, inputs: Sequence[FineTuneInput], settings: FineTuneSettings) -> None:
        """Learn from corrected cases.

        Parameters
        ----------
        inputs : sequence of FineTuneInput
            At least one to learn from. If there is no replay case, the sample cases with the same
            modalities are used.
        settings : FineTuneSettings
            What to adapt, for how long.

        Raises
        ------
        CimlError
            If a fine-tune is under way, there is nothing to learn from, or no checkpoint is chosen.
        """
        model = self.model
        if self.running:
            raise CimlError("A fine-tune is under way; stop it first.")
        if model.checkpoint is None or not any(one.learn for one in inputs):
            raise CimlError("Open a case and choose the labels to learn from first.")
        from napari_ciml.training.finetune.job import FineTuneJobFolder

        target = FineTuneTarget(model.checkpoint, model.decomposition, model.device)
        folder = FineTuneJobFolder(jobs_folder() / uuid4().hex)

        def prepare_folder(monitor: ProgressMonitor) -> None:
            try:
                prepare(folder, inputs, settings, target, monitor)
            except BaseException:
                folder.delete()
                raise

        self._submit(folder, prepare_folder)

    def resume_interrupted(self) -> None:
        """Resume the interrupted fine-tune."""
        if self.interrupted is not None and not self.running:
            self._submit(self.interrupted, lambda _: None)

    def discard_interrupted(self) -> None:
        """Delete the interrupted fine-tune."""
        if self.interrupted is not None:
            self.interrupted.delete()
        self.look_for_interrupted()

    def look_for_interrupted(self) -> None:
        """Look for a fine-tune that was interrupted, in this window or another one."""
        self.interrupted = None
        # The import takes a while, and is needed only if there is something.
        if jobs_folder().is_dir() and any(jobs_folder().iterdir()):
            from napari_ciml.training.finetune.job import find_interrupted_jobs

            self.interrupted = next(iter(find_interrupted_jobs(jobs_folder())), None)
        self.changed.emit()

    def pause(self, paused: bool) -> None:
        """Pause, or go on."""
        self.paused = paused
        self._yield_device()

    def finish(self) -> None:
        """End now with the best version so far."""
        if self._controls is not None:
            self._controls.finish.set()
            self.paused = False
            self._yield_device()

    def discard(self) -> None:
        """End now and delete the fine-tune."""
        self._discarding = True
        self.jobs.training.cancel()
        if self._controls is not None:
            self._controls.pause.clear()

    def adopt(self) -> None:
        """Use the new version from now on; the one before stays on disk."""
        if self.result is not None:
            self.before = self.model.checkpoint
            self.model.set_checkpoint(self.result.path)
            self.changed.emit()

    def go_back(self) -> None:
        """Use the version before again."""
        if self.before is not None:
            path, self.before = self.before, None
            self.model.set_checkpoint(path)
            self.changed.emit()

    def close(self) -> None:
        """Stop; it can be resumed, and the best version so far is on disk."""
        if self._controls is not None:
            self._controls.pause.clear()
        self.jobs.training.close()

    def _submit(
        self, folder: "FineTuneJobFolder", prepare_folder: Callable[[ProgressMonitor], None]
    ) -> None:
        from napari_ciml.training.finetune.results import Controls

        training = self.jobs.training

        def report(progress: "StepReport") -> None:
            training.call_in_gui(lambda: self.progressed.emit(progress))

        controls = Controls(report=report)
        self._controls, self.result, self.paused = controls, None, False
        self.interrupted, self._folder = None, folder
        self._yield_device()

        def work(monitor: ProgressMonitor) -> "FineTuneResult":
            from napari_ciml.training.finetune.run import run_job

            prepare_folder(monitor)
            return run_job(folder, monitor, controls)

        training.submit(TRAINING, work, self._on_result)

    def _yield_device(self, *_: object) -> None:
        """Pause while the user wants that or the main queue is busy."""
        if self._controls is not None:
            wait = self.paused or self.jobs.main.busy
            (self._controls.pause.set if wait else self._controls.pause.clear)()
        self.changed.emit()

    def _on_training(self, _: str) -> None:
        self.changed.emit()

    def _on_result(self, result: "FineTuneResult") -> None:
        self.result = result

    def _on_cancelled(self, _: str) -> None:
        if self._discarding and self._folder is not None:
            self._folder.delete()
        self._discarding = False
        self.changed.emit()
