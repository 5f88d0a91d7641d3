"""The training loop of section 4.2 on Lightning Fabric, interruptible and resumable."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from napari_ciml.errors import DeviceError
from napari_ciml.inference.device import choose_device, half_precision, is_out_of_memory
from napari_ciml.network.activation_checkpointing import enable_activation_checkpointing
from napari_ciml.network.ciml import CIML
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.patches import DistributedPatchSampler, Patches, PatchSource
from napari_ciml.training.run_folder import Epoch, RunFolder
from napari_ciml.training.settings import Hardware, TrainSettings
from napari_ciml.training.state import load_result, load_state, save_state
from napari_ciml.training.trainer import Trainer
from napari_ciml.training.validation import pseudo_dice

Build = Callable[[TrainSettings], nn.Module]
"""Makes the network of a run; it takes and gives what `CIML.forward` does."""


def build_ciml(settings: TrainSettings) -> nn.Module:
    """Return the network that the settings describe, with random weights."""
    return CIML(settings.decomposition, settings.network)


def poly_rate(settings: TrainSettings, epoch: int) -> float:
    """Return the learning rate of an epoch (eq. 13)."""
    return float(settings.learning_rate * (1 - epoch / settings.epochs) ** 0.9)


def train(
    cases: list[TrainingCase],
    settings: TrainSettings,
    folder: Path,
    monitor: ProgressMonitor,
    *,
    validation: Sequence[TrainingCase] = (),
    hardware: Hardware | None = None,
    resume: bool = False,
    build: Build = build_ciml,
    sources: Sequence[PatchSource] = (),
) -> nn.Module:
    """Train a network; after each epoch its state and a line of the log are written.

    Parameters
    ----------
    cases : list of TrainingCase
        In the model's space.
    settings : TrainSettings
        The run.
    folder : pathlib.Path
        Becomes a `RunFolder`.
    monitor : Monitor
        Told at each step; cancelling leaves the last epoch's state.
    validation : sequence of TrainingCase
        Dice on some patches of these is logged after each epoch.
    hardware : Hardware, optional
        Device, number of processes, precision.
    resume : bool
        Go on from the state in ``folder``; the curve is that of a run never interrupted.
    build : callable
        Makes the network; a function of a module, where several processes are asked for.
    sources : sequence of PatchSource
        Further cases, and how many of the patches are of them.

    Raises
    ------
    InputError
        If there is nothing to resume, or it is of another run.
    CimlError
        If the loss is no longer a number.
    DeviceError
        If memory is too small, even with activations computed again.
    """
    hardware = hardware or Hardware()
    run = RunFolder(folder)
    fabric = make_fabric(hardware)
    run.resume(settings) if resume else run.begin(settings, hardware)
    task = _Task(
        cases,
        validation,
        settings,
        run,
        hardware.workers,
        hardware.activation_checkpointing,
        resume,
        build,
        sources,
    )
    if hardware.devices == 1:
        _train_alone(fabric, task, monitor)
    else:
        monitor.notify(f"Training in {hardware.devices} processes; the log grows by the epoch.")
        # Bound, because Fabric walks through arguments and knows no frozen dataclass.
        fabric.launch(partial(_train, task=task))
    network = build(settings)
    load_result(folder, network)
    return network.eval()


def ema_model(network: nn.Module, decay: float) -> AveragedModel:
    """Return a moving average of a network's weights, which early on forgets faster."""

    def mix(averages: Any, weights: Any, count: Any) -> None:
        steps = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + steps) / (10 + steps)))(averages, weights, count)

    return AveragedModel(network, multi_avg_fn=mix, use_buffers=True)


def make_fabric(hardware: Hardware) -> Fabric:
    """Return what places tensors and scales losses on the hardware asked for.

    Raises
    ------
    DeviceError
        If the device is not there.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = choose_device(hardware.device)
    half = half_precision(device) if hardware.precision == "auto" else None
    names = {torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed", None: "32-true"}
    given = {"auto": names[half], "32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
    # Messages are dropped at random, so in some steps part of the network goes unused.
    several = DDPStrategy(start_method="spawn", find_unused_parameters=True)
    return Fabric(
        accelerator=device.type,
        devices=hardware.devices,
        precision=given[hardware.precision],  # type: ignore[arg-type]
        strategy=several if hardware.devices > 1 else "auto",
    )


@dataclass(frozen=True)
class _Task:
    """What every process of a run is given."""

    cases: list[TrainingCase]
    validation: Sequence[TrainingCase]
    settings: TrainSettings
    run: RunFolder
    workers: int
    spare: bool
    resume: bool
    build: Build
    sources: Sequence[PatchSource]


def _train_alone(fabric: Fabric, task: _Task, monitor: ProgressMonitor) -> None:
    try:
        _train(fabric, task, monitor)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(
            f"The memory of {fabric.device.type} is full, even with activations computed twice; "
            "use a smaller --patch, --batch-size or --base-filters."
        ) from None


def _train(fabric: Fabric, task: _Task, monitor: ProgressMonitor | None = None) -> None:
    settings, monitor = task.settings, monitor or ProgressMonitor()
    torch.manual_seed(settings.seed)
    network = task.build(settings)
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    adam = torch.optim.Adam(
        network.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, 0.999),
        weight_decay=settings.weight_decay,
    )
    if task.spare:
        enable_activation_checkpointing(network)
    placed, optimiser = fabric.setup(network, adam)
    trainer = Trainer(fabric, settings, placed, optimiser, monitor.notify)
    average = ema_model(network, settings.ema_decay) if settings.ema_decay else None
    first = 0
    if task.resume:
        first = int(load_state(task.run.path, network, adam, average)["epochs"])
    batches = iter(_loader(fabric, task, first))
    for epoch in range(first, settings.epochs):
        rate = poly_rate(settings, epoch)
        for group in adam.param_groups:
            group["lr"] = rate
        begun, waited, rows = time.perf_counter(), 0.0, []
        network.train()
        for step in range(epoch * settings.iterations, (epoch + 1) * settings.iterations):
            monitor.step("Training", step, settings.steps)
            asked = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - asked
            rows.append(trainer.step(batch, step))
            if average is not None:
                average.update_parameters(network)
        seconds = time.perf_counter() - begun
        if fabric.is_global_zero:
            with fabric.autocast():
                scores = pseudo_dice(average or network, task.validation, settings, fabric.device)
            loss, dice, entropy, kl = np.mean(rows, axis=0).tolist()
            waiting = waited / seconds
            task.run.log(Epoch(epoch + 1, rate, loss, dice, entropy, kl, waiting, seconds, scores))
            save_state(task.run.path, network, adam, {"epochs": epoch + 1}, average)
        fabric.barrier()


def _loader(fabric: Fabric, task: _Task, first: int) -> DataLoader[dict[str, Tensor]]:
    share = DistributedPatchSampler(task.settings, first, fabric.global_rank, fabric.world_size)
    loader: DataLoader[dict[str, Tensor]] = DataLoader(
        Patches(task.cases, task.settings, world=fabric.world_size, sources=task.sources),
        batch_size=task.settings.batch_size,
        sampler=share,
        num_workers=task.workers,
        pin_memory=fabric.device.type == "cuda",
    )
    return fabric.setup_dataloaders(loader, use_distributed_sampler=False)  # type: ignore[return-value]
