"""Fine-tune a checkpoint on corrected cases without forgetting the replay cases."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import CancelledError, DeviceError, DivergedError, InputError
from napari_ciml.files import ensure_writable_folder
from napari_ciml.inference.device import choose_device, is_out_of_memory, release
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo, TrainingRecord
from napari_ciml.network.settings import STRIDE
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.finetune.adapt import (
    choose_parameters,
    initial_network,
    model_space_for,
    training_settings,
)
from napari_ciml.training.finetune.autosave import StateSaver, saved_progress
from napari_ciml.training.finetune.clock import Clock
from napari_ciml.training.finetune.evaluator import VersionEvaluator
from napari_ciml.training.finetune.holdout import hold_out
from napari_ciml.training.finetune.job import FineTuneJob, FineTuneJobFolder
from napari_ciml.training.finetune.patches import ReplayMixDataset
from napari_ciml.training.finetune.results import Controls, FineTuneResult, StepReport, Version
from napari_ciml.training.finetune.versions import INTERPOLATION, VersionHistory
from napari_ciml.training.finetune.weight_interpolation import interpolation_factors
from napari_ciml.training.loop import make_fabric
from napari_ciml.training.settings import FineTuneSettings, Hardware, TrainSettings
from napari_ciml.training.trainer import Trainer

_EVALUATIONS = 6
"""Number of evaluations over the budget of a fine-tune."""


@dataclass(frozen=True)
class FineTuneTask:
    """How to fine-tune, and where to write the new version.

    Parameters
    ----------
    settings : FineTuneSettings
        Trainable parameters, budget, learning rate and so on.
    path : pathlib.Path
        Checkpoint of the new version, replaced atomically whenever a better one is found.
    decomposition : Decomposition, optional
        Decomposition to learn, if not the checkpoint's own (`initial_network`).
    hardware : Hardware
        One device.
    state : pathlib.Path, optional
        Folder of the training state. If it holds the state of an interrupted fine-tune, that one
        is resumed.
    """

    settings: FineTuneSettings
    path: Path
    decomposition: Decomposition | None = None
    hardware: Hardware = field(default_factory=lambda: Hardware(workers=0))
    state: Path | None = None


def run_job(
    folder: FineTuneJobFolder, monitor: ProgressMonitor, controls: Controls | None = None
) -> FineTuneResult:
    """Run or resume the job of a folder; delete the folder when it is finished.

    The folder stays, and the job can be resumed, if it is cancelled, if the process is killed, or
    if it fails after its first step.

    Raises
    ------
    InputError
        If there is no job, its checkpoint has changed, or another process is running it; and as
        `finetune`.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    with folder.lock():
        try:
            result = _run_job(folder, folder.job(), monitor, controls)
        except CancelledError:
            raise
        except Exception:
            # A full disk or memory must not lose what was learnt; before the first step that is
            # nothing.
            if not saved_progress(folder.path)[0]:
                folder.delete()
            raise
    folder.delete()
    return result


def _run_job(
    folder: FineTuneJobFolder,
    job: FineTuneJob,
    monitor: ProgressMonitor,
    controls: Controls | None,
) -> FineTuneResult:
    checkpoint = load_checkpoint(job.checkpoint)
    if checkpoint.sha256 != job.sha256:
        raise InputError(
            f"{job.checkpoint}: the file has changed since the fine-tune started; start a new one."
        )
    task = FineTuneTask(
        job.settings,
        job.path,
        job.decomposition,
        Hardware(device=job.device, workers=0),
        folder.path,
    )
    return finetune(checkpoint, *folder.cases(), task, monitor, controls)


def finetune(
    checkpoint: Checkpoint,
    corrected: Sequence[TrainingCase],
    replay: Sequence[TrainingCase],
    task: FineTuneTask,
    monitor: ProgressMonitor,
    controls: Controls | None = None,
) -> FineTuneResult:
    """Train a checkpoint further on corrected cases, mixed with replay cases against forgetting.

    Norm layers keep their statistics. Since much of what one case teaches is true of that case
    only, a version lies half way between the old and the fine-tuned weights
    (`interpolate_weights`); at the end also further (`FineTuneSettings.interpolation`), as long as
    the replay cases are retained (`Version.retains_replay`). The result is the version with the
    best Dice on the held-out part of the corrected cases (`hold_out`) among those that retain the
    held-out replay cases; if only versions that do not retain them improve, the best of these,
    marked as such; if none improves, the initial version.

    Parameters
    ----------
    checkpoint : Checkpoint
        The version to start from; it is not changed.
    corrected, replay : sequence of TrainingCase
        Cases in the checkpoint's space, with the regions of the task's decomposition.
    task : FineTuneTask
        How to train, and where to write.
    monitor : ProgressMonitor
        Receives notices of fall-backs; cancelling leaves the best version so far.
    controls : Controls, optional
        Pause, early finish, reports.

    Raises
    ------
    InputError
        If there is no corrected case, or no parameter to train.
    DeviceError
        If the memory is too small for the smallest patch.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    if not corrected:
        raise InputError("There is no corrected case to learn from.")
    return _FineTune(checkpoint, corrected, replay, task, monitor, controls or Controls()).run()


class _FineTune:
    """A running fine-tune; parameters as of `finetune`."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        corrected: Sequence[TrainingCase],
        replay: Sequence[TrainingCase],
        task: FineTuneTask,
        monitor: ProgressMonitor,
        controls: Controls,
    ) -> None:
        settings = task.settings
        self.checkpoint, self.task, self.monitor, self.controls = (
            checkpoint,
            task,
            monitor,
            controls,
        )
        self.corrected = hold_out(corrected, settings.held_out, settings.seed)
        self.replay = hold_out(replay, settings.replay_held_out, settings.seed)
        self.target = task.decomposition or checkpoint.info.decomposition
        self.trained = initial_network(checkpoint, self.target)
        choose_parameters(self.trained, settings)
        self.device = choose_device(task.hardware.device)
        evaluator = VersionEvaluator(
            self.corrected.validation,
            self.replay.validation,
            self.target,
            settings.tolerance,
            self.device,
            monitor,
        )
        ensure_writable_folder(task.path.parent)
        self.history = VersionHistory(task.path, self.trained, evaluator, self._info)
        self.factors = interpolation_factors(settings.interpolation)
        self.steps, self.evaluations, self.evaluated_at = 0, 0, -1
        self.resumes = False
        self.notices: list[str] = []
        if settings.held_out and not self.corrected.held_out:
            self._notify(
                "The regions are too small to hold a part out; the training cases are also used "
                "for validation."
            )

    def run(self) -> FineTuneResult:
        """Train until the budget is used, with smaller patches when memory is full."""
        settings = self.task.settings
        self.steps, fraction = saved_progress(self.task.state)
        self.resumes, self.evaluations = self.steps > 0, int(fraction * _EVALUATIONS)
        self.history.start(self.resumes)
        clock = Clock(settings.minutes * 60, settings.steps, fraction)
        patch = self.checkpoint.info.patch
        while not self._train(clock, patch):
            release(self.device)
            if max(patch) <= 2 * STRIDE:
                raise DeviceError("There is not enough memory even for patches of 32 voxels.")
            patch = _halved(patch)
            self._notify(f"The memory is full; continuing with patches of {patch[0]} voxels.")
        self.history.write()
        return self._result()

    def _result(self) -> FineTuneResult:
        first, best = self.history.first, self.history.best
        return FineTuneResult(
            path=self.task.path,
            steps=self.steps,
            corrected_before=first.corrected,
            corrected_after=best.corrected,
            replay_before=first.replay,
            replay_after=best.replay,
            retains_replay=best.retains_replay,
            interpolation=best.interpolation,
            validation_set=self.corrected.description,
            held_out=self.corrected.held_out,
            replay_set=self.replay.description,
            notices=tuple(self.notices),
        )

    def _train(self, clock: Clock, patch: tuple[int, int, int]) -> bool:
        """Train to the end; return False if memory was full."""
        settings = training_settings(self._info(), self.target, self.task.settings, patch)
        try:
            self._train_with(clock, settings)
        except DivergedError:
            self._notify("The loss is no longer finite; the best version before is kept.")
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _train_with(self, clock: Clock, settings: TrainSettings) -> None:
        fabric, network = make_fabric(self.task.hardware), self.trained.network.eval()
        parameters = [p for p in network.parameters() if p.requires_grad]
        adam = torch.optim.Adam(parameters, lr=settings.learning_rate)
        module, optimiser = fabric.setup(network, adam)
        trainer = Trainer(fabric, settings, module, optimiser, self._notify)
        saver = StateSaver(self.task.state, network, adam, clock)
        if self.resumes:
            saver.restore()
        self.resumes = False
        try:
            self._train_steps(trainer, saver)
            self._evaluate_further()
        except CancelledError:
            saver.save(self.steps)
            raise

    def _train_steps(self, trainer: Trainer, saver: StateSaver) -> None:
        settings, clock = trainer.settings, saver.clock
        for batch in self._batches(settings):
            if self.controls.pause.is_set():
                saver.save(self.steps)
            clock.wait_while(self.controls.pause, self.monitor)
            self.monitor.raise_if_cancelled()
            saver.save_if_due(self.steps)
            fraction = clock.fraction_done(self.steps)
            if fraction >= 1 or self.controls.finish.is_set():
                break
            for group in saver.adam.param_groups:
                group["lr"] = settings.learning_rate * (1 - fraction) ** 0.9
            on_device = {name: values.to(trainer.fabric.device) for name, values in batch.items()}
            losses = trainer.step(on_device, self.steps)
            self.steps += 1
            self._report(clock, losses)

    def _report(self, clock: Clock, losses: Sequence[float]) -> None:
        """Report a step, after evaluating a version if one is due."""
        fraction = clock.fraction_done(self.steps)
        evaluations = int(fraction * _EVALUATIONS)
        version = self._evaluate(self.factors[0]) if evaluations > self.evaluations else None
        self.evaluations = evaluations
        loss, dice, cross_entropy, kl = losses
        self.controls.report(
            StepReport(
                step=self.steps,
                fraction_done=fraction,
                seconds_left=clock.seconds_left(self.steps),
                loss=loss,
                dice=dice,
                cross_entropy=cross_entropy,
                kl=kl,
                version=version,
            )
        )

    def _evaluate(self, factor: float) -> Version:
        version = self.history.evaluate(factor)
        self.evaluated_at = self.steps
        return version

    def _evaluate_further(self) -> None:
        """Evaluate the final weights, and further interpolations while replay is retained."""
        smallest, *larger = self.factors
        is_evaluated = self.evaluated_at == self.steps
        version = self.history.versions[-1] if is_evaluated else self._evaluate(smallest)
        for factor in larger:
            if not version.retains_replay:
                break
            version = self._evaluate(factor)

    def _batches(self, settings: TrainSettings) -> Iterator[dict[str, Tensor]]:
        replay_fraction = self.task.settings.replay_fraction
        patches = ReplayMixDataset(
            self.corrected.train, self.replay.train, settings, replay_fraction
        )
        endless = range(self.steps * settings.batch_size, 2**31)
        loader: DataLoader[dict[str, Tensor]] = DataLoader(
            patches,
            settings.batch_size,
            sampler=endless,
            num_workers=self.task.hardware.workers,
        )
        yield from loader

    def _info(self, interpolation: float = 1.0) -> CheckpointInfo:
        """Return the info of a version's checkpoint."""
        settings = self.task.settings
        options = settings.model_dump(exclude={"seed"}, exclude_none=True)
        record = TrainingRecord(
            data=f"{len(self.corrected.train)} corrected and {len(self.replay.train)} other cases",
            cases=len(self.corrected.train),
            steps=self.steps,
            seed=settings.seed,
            options=options | {INTERPOLATION: interpolation},
            parent=self.checkpoint.sha256,
        )
        info = model_space_for(self.checkpoint.info, self.trained.network.decomposition)
        return info.model_copy(update={"training": record, "scores": (), "weight_statistics": ()})

    def _notify(self, notice: str) -> None:
        """Notify the user now, and again in the result."""
        self.notices.append(notice)
        self.monitor.notify(notice)


def _halved(patch: tuple[int, int, int]) -> tuple[int, int, int]:
    z, y, x = (max(2 * STRIDE, edge // 2 // STRIDE * STRIDE) for edge in patch)
    return z, y, x
