"""Learning from corrected cases: another version of a checkpoint, never worse by accident."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import CancelledError, DeviceError, DivergedError, InputError
from napari_ciml.files import ensure_writable_folder
from napari_ciml.inference.device import choose_device, is_out_of_memory, release
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo, TrainingRecord
from napari_ciml.network.ciml import CIML
from napari_ciml.network.settings import STRIDE
from napari_ciml.network.transfer import TransferredNetwork
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.finetune.adapt import (
    choose_parameters,
    initial_network,
    training_settings,
)
from napari_ciml.training.finetune.autosave import StateSaver, saved_progress
from napari_ciml.training.finetune.clock import Clock
from napari_ciml.training.finetune.evaluator import Version, VersionEvaluator
from napari_ciml.training.finetune.holdout import HoldoutSplit, hold_out
from napari_ciml.training.finetune.patches import ReplayMixDataset, space_for
from napari_ciml.training.finetune.results import Controls, FineTuneResult, StepReport
from napari_ciml.training.finetune.weight_interpolation import (
    interpolate_weights,
    interpolation_factors,
)
from napari_ciml.training.loop import make_fabric
from napari_ciml.training.settings import FineTuneSettings, Hardware, TrainSettings
from napari_ciml.training.trainer import Trainer

_LOOKS = 6
"""How often, over its time, a fine-tune is measured."""


def finetune(
    checkpoint: Checkpoint,
    corrected: Sequence[TrainingCase],
    replay: Sequence[TrainingCase],
    settings: FineTuneSettings,
    path: Path,
    monitor: ProgressMonitor,
    *,
    decomposition: Decomposition | None = None,
    hardware: Hardware | None = None,
    controls: Controls | None = None,
    state: Path | None = None,
) -> FineTuneResult:
    """Train on from a checkpoint, on corrected cases and, so that nothing is forgotten, on others.

    Norms keep their statistics. A version lies half of the way from the old weights to the learnt
    ones (`interpolate_weights`), since one case teaches much that is true of it alone; in the end
    further (`FineTuneSettings.interpolation`), if no harm is done. The one kept has the best Dice
    on what is held out of the corrected cases (`hold_out`), among those that do no harm (`Version`)
    to what is held out of the replay cases. If only versions that do harm are better, the best of
    them is kept and said to be harmful; if none is better at all, the version it began with.

    Parameters
    ----------
    checkpoint : Checkpoint
        The version to begin with; it is not changed.
    corrected, replay : sequence of TrainingCase
        In the checkpoint's space, with regions as ``decomposition`` has them.
    settings : FineTuneSettings
        What to adapt, for how long.
    path : pathlib.Path
        The new version's file, replaced whole whenever a better one is found.
    monitor : Monitor
        Told of fall-backs; cancelling leaves the best version found so far.
    decomposition : Decomposition, optional
        If it is to be another one; weights are carried over (`begin`).
    hardware : Hardware, optional
        One device.
    controls : Controls, optional
        To pause it, to end it early, to hear of it.
    state : pathlib.Path, optional
        A folder that keeps what is needed to go on after an interruption; if it holds that of an
        earlier one, this goes on from there.

    Raises
    ------
    InputError
        If there is no corrected case, or nothing to adapt.
    DeviceError
        If the memory is too small for even the smallest patch.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    if not corrected:
        raise InputError("There is no corrected case to learn from.")
    hardware = hardware or Hardware(workers=0)
    split = hold_out(corrected, settings.held_out, settings.seed)
    kept = hold_out(replay, settings.replay_held_out, settings.seed)
    wanted = decomposition or checkpoint.info.decomposition
    begun = initial_network(checkpoint, wanted)
    choose_parameters(begun, settings)
    device = choose_device(hardware.device)
    judge = VersionEvaluator(
        split.validation, kept.validation, wanted, settings.tolerance, device, monitor
    )
    ensure_writable_folder(path.parent)
    run = _Run(
        checkpoint,
        wanted,
        begun,
        split,
        kept,
        judge,
        settings,
        path,
        monitor,
        hardware,
        controls or Controls(),
        state,
    )
    if settings.held_out and not split.held_out:
        run.tell("Too little is marked to hold a part of it out; it is judged on what it learns.")
    return run.go()


@dataclass
class _Run:
    """A fine-tune under way."""

    checkpoint: Checkpoint
    wanted: Decomposition
    begun: TransferredNetwork
    split: HoldoutSplit
    kept: HoldoutSplit
    judge: VersionEvaluator
    settings: FineTuneSettings
    path: Path
    monitor: ProgressMonitor
    hardware: Hardware
    controls: Controls
    state: Path | None
    versions: list[Version] = field(default_factory=list)
    steps: int = 0
    looks: int = 0
    looked_at: int = -1
    resumes: bool = False
    notices: list[str] = field(default_factory=list)

    @property
    def best(self) -> Version:
        """The version to offer: better on the corrected cases, harmless if there is such a one."""
        first = self.versions[0]
        better = [version for version in self.versions if version.score > first.score]
        return max(better, key=lambda v: (v.harmless, v.score), default=first)

    def go(self) -> FineTuneResult:
        """Train until time or steps are up, with smaller patches when memory is full."""
        self.steps, share = saved_progress(self.state)
        self.resumes, self.looks = self.steps > 0, int(share * _LOOKS)
        self._measure(self.begun.network)
        if self.resumes and self.path.is_file():
            found = load_checkpoint(self.path)
            self._measure(found.network, float(found.info.training.options["interpolation"]))
        self._save()
        clock = Clock(self.settings.minutes * 60, self.settings.steps, share)
        patch = self.checkpoint.info.patch
        while not self._train(clock, patch):
            release(self.judge.device)
            if max(patch) <= 2 * STRIDE:
                raise DeviceError("There is not enough memory even for patches of 32 voxels.")
            patch = _halved(patch)
            self.tell(f"The memory is full; going on with patches of {patch[0]} voxels.")
        first, best = self.versions[0], self.best
        self._save()
        return FineTuneResult(
            self.path,
            self.steps,
            first.corrected,
            best.corrected,
            first.replay,
            best.replay,
            best.harmless,
            best.share,
            self.split.words,
            self.split.held_out,
            self.kept.words,
            notices=tuple(self.notices),
        )

    def _train(self, clock: Clock, patch: tuple[int, int, int]) -> bool:
        """Return whether it came to an end; if not, memory was full."""
        try:
            self._steps(clock, training_settings(self._info(), self.wanted, self.settings, patch))
        except DivergedError:
            self.tell("The loss was no longer a number; the best version before it is kept.")
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _steps(self, clock: Clock, settings: TrainSettings) -> None:
        fabric, network = make_fabric(self.hardware), self.begun.network.eval()
        learning = [p for p in network.parameters() if p.requires_grad]
        adam = torch.optim.Adam(learning, lr=settings.learning_rate)
        placed, optimiser = fabric.setup(network, adam)
        trainer = Trainer(fabric, settings, placed, optimiser, self.tell)
        keeper = StateSaver(self.state, network, adam, clock)
        if self.resumes:
            keeper.restore()
        self.resumes = False
        try:
            self._go_through(trainer, keeper)
            self._go_further()
        except CancelledError:
            keeper.save(self.steps)
            raise

    def _go_through(self, trainer: Trainer, keeper: StateSaver) -> None:
        settings, clock = trainer.settings, keeper.clock
        for batch in self._batches(settings):
            if self.controls.pause.is_set():
                keeper.save(self.steps)
            clock.wait_while(self.controls.pause, self.monitor)
            self.monitor.raise_if_cancelled()
            keeper.save_if_due(self.steps)
            share = clock.fraction_done(self.steps)
            if share >= 1 or self.controls.finish.is_set():
                break
            for group in keeper.adam.param_groups:
                group["lr"] = settings.learning_rate * (1 - share) ** 0.9
            moved = {name: values.to(trainer.fabric.device) for name, values in batch.items()}
            loss, dice, entropy, kl = trainer.step(moved, self.steps)
            self.steps += 1
            share = clock.fraction_done(self.steps)
            looked = (
                self._look(interpolation_factors(self.settings.interpolation)[0])
                if int(share * _LOOKS) > self.looks
                else None
            )
            self.looks = int(share * _LOOKS)
            self.controls.progressed(
                StepReport(
                    self.steps,
                    share,
                    clock.seconds_left(self.steps),
                    loss,
                    dice,
                    entropy,
                    kl,
                    looked,
                )
            )

    def _go_further(self) -> None:
        """Measure the last state, and more and more of it while that does no harm."""
        nearest, *further = interpolation_factors(self.settings.interpolation)
        seen = self.versions[-1] if self.looked_at == self.steps else self._look(nearest)
        for share in further:
            if not seen.harmless:
                break
            seen = self._look(share)

    def _look(self, share: float) -> Version:
        """Measure what would be taken over now; if it is the best so far, write it at once."""
        network = interpolate_weights(self.begun, self.versions[0].weights, share)
        seen = self._measure(network, share)
        self.looked_at = self.steps
        if seen is self.best:
            self._save()
        return seen

    def _measure(self, network: CIML, share: float = 0.0) -> Version:
        first = self.versions[0] if self.versions else None
        checkpoint = Checkpoint(self.path, self._info(), "", network.eval())
        self.versions.append(replace(self.judge.measure(checkpoint, first), share=share))
        return self.versions[-1]

    def _batches(self, settings: TrainSettings) -> Iterator[dict[str, Tensor]]:
        mixed = ReplayMixDataset(
            self.split.train, self.kept.train, settings, self.settings.replay_share
        )
        endless = range(self.steps * settings.batch_size, 2**31)
        loader: DataLoader[dict[str, Tensor]] = DataLoader(
            mixed, settings.batch_size, sampler=endless, num_workers=self.hardware.workers
        )
        yield from loader

    def _info(self, share: float = 1.0) -> CheckpointInfo:
        space = space_for(self.checkpoint.info, self.begun.network.decomposition)
        record = TrainingRecord(
            data=f"{len(self.split.train)} corrected and {len(self.kept.train)} other cases",
            cases=len(self.split.train),
            steps=self.steps,
            seed=self.settings.seed,
            options=self.settings.model_dump(exclude={"seed"}, exclude_none=True) | {"interpolation": share},
            parent=self.checkpoint.sha256,
        )
        return space.model_copy(update={"training": record, "scores": (), "weight_statistics": ()})

    def _save(self) -> None:
        network = self.begun.network
        kept = CIML(network.decomposition, network.settings)
        kept.load_state_dict(self.best.weights)
        save_checkpoint(self.path, kept, self._info(self.best.share))

    def tell(self, sentence: str) -> None:
        """Tell the user, now and in the end."""
        self.notices.append(sentence)
        self.monitor.notify(sentence)


def _halved(patch: tuple[int, int, int]) -> tuple[int, int, int]:
    z, y, x = (max(2 * STRIDE, edge // 2 // STRIDE * STRIDE) for edge in patch)
    return z, y, x
