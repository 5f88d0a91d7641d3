"""Learning from corrected cases: another version of a checkpoint, never worse by accident."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from napari_ciml.decomposition import Decomposition
from napari_ciml.errors import DeviceError, DivergedError, InputError
from napari_ciml.files import prepare_folder
from napari_ciml.inference.device import choose_device, is_out_of_memory, release
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import Checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo, TrainingRecord
from napari_ciml.network.ciml import CIML
from napari_ciml.network.settings import STRIDE
from napari_ciml.network.transfer import Transfer, transfer
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.finetune.clock import Clock
from napari_ciml.training.finetune.data import Mixed, space_for
from napari_ciml.training.finetune.outcome import Controls, FineTuned, Progressed
from napari_ciml.training.finetune.versions import Judge, Version
from napari_ciml.training.loop import make_fabric
from napari_ciml.training.settings import FineTuneSettings, Hardware, TrainSettings
from napari_ciml.training.step import Trainer

_LOOKS = 6
"""How often, over its time, a fine-tune is measured."""


def finetune(
    checkpoint: Checkpoint,
    corrected: Sequence[TrainingCase],
    replay: Sequence[TrainingCase],
    settings: FineTuneSettings,
    path: Path,
    monitor: Monitor,
    *,
    decomposition: Decomposition | None = None,
    hardware: Hardware | None = None,
    controls: Controls | None = None,
) -> FineTuned:
    """Train on from a checkpoint, on corrected cases and, so that nothing is forgotten, on others.

    Norms keep their statistics. The version kept is the one with the highest Dice on the corrected
    cases among those that lose no more than the tolerance on the replay cases. If only versions
    that lose more are better, the best of them is kept and said to be harmful; if none is better
    at all, the version it began with.

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
        If it is to be another one; weights are carried over.
    hardware : Hardware, optional
        One device.
    controls : Controls, optional
        To pause it, to end it early, to hear of it.

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
    begun = transfer(checkpoint.network, decomposition or checkpoint.info.decomposition)
    _choose_parameters(begun, settings)
    judge = Judge(
        list(corrected),
        list(replay),
        settings.tolerance,
        choose_device(hardware.device),
        monitor,
    )
    prepare_folder(path.parent)
    return _Run(
        checkpoint, begun, judge, settings, path, monitor, hardware, controls or Controls()
    ).go()


@dataclass
class _Run:
    """A fine-tune under way."""

    checkpoint: Checkpoint
    begun: Transfer
    judge: Judge
    settings: FineTuneSettings
    path: Path
    monitor: Monitor
    hardware: Hardware
    controls: Controls
    versions: list[Version] = field(default_factory=list)
    steps: int = 0
    notices: list[str] = field(default_factory=list)

    @property
    def best(self) -> Version:
        """The version to offer: better on the corrected cases, harmless if there is such a one."""
        first = self.versions[0]
        better = [version for version in self.versions if version.worth > first.worth]
        return max(better, key=lambda v: (v.harmless, v.worth), default=first)

    def go(self) -> FineTuned:
        """Train until the time is up, with smaller patches when memory is full."""
        self._look()
        clock, patch = Clock(self.settings.minutes * 60), self.checkpoint.info.patch
        while not self._train(clock, patch):
            release(self.judge.device)
            if max(patch) <= 2 * STRIDE:
                raise DeviceError("There is not enough memory even for patches of 32 voxels.")
            patch = _halved(patch)
            self._tell(f"The memory is full; going on with patches of {patch[0]} voxels.")
        first, best = self.versions[0], self.best
        self._save()
        return FineTuned(
            self.path,
            self.steps,
            first.corrected,
            best.corrected,
            first.replay,
            best.replay,
            best.harmless,
            tuple(self.notices),
        )

    def _train(self, clock: Clock, patch: tuple[int, int, int]) -> bool:
        """Return whether it came to an end; if not, memory was full."""
        try:
            self._steps(clock, self._train_settings(patch))
        except DivergedError:
            self._tell("The loss was no longer a number; the best version before it is kept.")
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        return True

    def _steps(self, clock: Clock, settings: TrainSettings) -> None:
        fabric, network = make_fabric(self.hardware), self.begun.network.eval()
        learning = [p for p in network.parameters() if p.requires_grad]
        adam = torch.optim.Adam(learning, lr=settings.learning_rate)
        trainer = Trainer(fabric, settings, *fabric.setup(network, adam))
        for batch in self._batches(settings):
            clock.wait_while(self.controls.pause, self.monitor)
            self.monitor.check()
            if clock.share >= 1 or self.controls.finish.is_set():
                break
            for group in adam.param_groups:
                group["lr"] = settings.learning_rate * (1 - clock.share) ** 0.9
            moved = {name: values.to(fabric.device) for name, values in batch.items()}
            loss, dice, entropy, kl = trainer.step(moved, self.steps)
            self.steps += 1
            due = clock.share * _LOOKS >= len(self.versions)
            looked = self._look() if due else None
            self.controls.progressed(
                Progressed(self.steps, min(clock.share, 1.0), loss, dice, entropy, kl, looked)
            )
        self._look()

    def _look(self) -> Version:
        """Measure the network as it is; a better one than all before is written at once."""
        network = self.begun.network.eval()
        first = self.versions[0] if self.versions else None
        seen = self.judge.measure(Checkpoint(self.path, self._info(), "", network), first)
        self.versions.append(seen)
        if seen is self.best:
            self._save()
        return seen

    def _batches(self, settings: TrainSettings) -> Iterator[dict[str, Tensor]]:
        mixed = Mixed(self.judge.corrected, self.judge.replay, settings, self.settings.replay_share)
        endless = range(self.steps * settings.batch_size, 2**31)
        loader: DataLoader[dict[str, Tensor]] = DataLoader(
            mixed, settings.batch_size, sampler=endless, num_workers=self.hardware.workers
        )
        yield from loader

    def _train_settings(self, patch: tuple[int, int, int]) -> TrainSettings:
        info = self._info()
        return TrainSettings(
            decomposition=info.decomposition,
            network=info.network,
            normalisation=info.normalisation,
            spacing=info.spacing,
            patch=patch,
            learning_rate=self.settings.learning_rate,
            beta=self.settings.beta,
            foreground_share=0.67,
            seed=self.settings.seed,
        )

    def _info(self) -> CheckpointInfo:
        space = space_for(self.checkpoint.info, self.begun.network.decomposition)
        record = TrainingRecord(
            data=f"{len(self.judge.corrected)} corrected and {len(self.judge.replay)} other cases",
            cases=len(self.judge.corrected),
            steps=self.steps,
            seed=self.settings.seed,
            options=self.settings.model_dump(exclude={"seed"}),
            parent=self.checkpoint.sha256,
        )
        return space.model_copy(update={"training": record, "scores": ()})

    def _save(self) -> None:
        network = self.begun.network
        kept = CIML(network.decomposition, network.settings)
        kept.load_state_dict(self.best.weights)
        save_checkpoint(self.path, kept, self._info())

    def _tell(self, sentence: str) -> None:
        self.notices.append(sentence)
        self.monitor.tell(sentence)


def _choose_parameters(begun: Transfer, settings: FineTuneSettings) -> None:
    """Let only those parameters learn that are to be adapted.

    Raises
    ------
    InputError
        If there are none.
    """
    network: nn.Module = begun.network
    fresh = begun.fresh | {
        name
        for pair in begun.untrained
        for name, _ in network.named_parameters()
        if name.startswith(f"segmentors.{pair.primary}.output.")
    }
    chosen = {
        "all": lambda _: True,
        "decoders": lambda name: name.startswith("segmentors.") or name in fresh,
        "new": lambda name: name in fresh,
    }[settings.adapt]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(chosen(name))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError("Nothing in this decomposition is new; adapt the decoders, or all.")


def _halved(patch: tuple[int, int, int]) -> tuple[int, int, int]:
    z, y, x = (max(2 * STRIDE, edge // 2 // STRIDE * STRIDE) for edge in patch)
    return z, y, x
