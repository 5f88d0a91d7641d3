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

NetworkFactory = Callable[[TrainSettings], nn.Module]
"""Builds the network of a run; its ``forward`` has the signature of `CIML.forward`."""


@dataclass(frozen=True)
class TrainingData:
    """Cases of a training run, in the model's space.

    Parameters
    ----------
    train : list of TrainingCase
        Cases to train on.
    validation : sequence of TrainingCase
        Cases whose Dice, on some patches, is logged after each epoch.
    sources : sequence of PatchSource
        Additional cases to train on, and their fraction of the patches.
    """

    train: list[TrainingCase]
    validation: Sequence[TrainingCase] = ()
    sources: Sequence[PatchSource] = ()


def build_ciml(settings: TrainSettings) -> nn.Module:
    """Return the network that the settings describe, with random weights."""
    return CIML(settings.decomposition, settings.network)


def poly_rate(settings: TrainSettings, epoch: int) -> float:
    """Return the learning rate of an epoch (eq. 13)."""
    return float(settings.learning_rate * (1 - epoch / settings.epochs) ** 0.9)


def train(
    data: TrainingData,
    settings: TrainSettings,
    folder: Path,
    monitor: ProgressMonitor,
    *,
    hardware: Hardware | None = None,
    resume: bool = False,
    build: NetworkFactory = build_ciml,
) -> nn.Module:
    """Train a network; its state and a line of the log are written after each epoch.

    Parameters
    ----------
    data : TrainingData
        Training and validation cases.
    settings : TrainSettings
        Settings of the run.
    folder : pathlib.Path
        Becomes a `RunFolder`.
    monitor : ProgressMonitor
        Receives every step; cancelling keeps the state of the last epoch.
    hardware : Hardware, optional
        Device, number of processes, precision.
    resume : bool
        Resume from the state in ``folder``; the result is that of an uninterrupted run.
    build : callable
        Builds the network; with several processes, a function at module level.

    Raises
    ------
    InputError
        If there is nothing to resume, or it belongs to another run.
    CimlError
        If the loss is no longer finite.
    DeviceError
        If memory is too small even with activation checkpointing.
    """
    hardware = hardware or Hardware()
    run = RunFolder(folder)
    fabric = make_fabric(hardware)
    run.resume(settings) if resume else run.begin(settings, hardware)
    task = _Task(data, settings, run, hardware, resume, build)
    if hardware.devices == 1:
        _train_in_this_process(fabric, task, monitor)
    else:
        monitor.notify(
            f"Training in {hardware.devices} processes; progress is logged once per epoch."
        )
        # Bound, because Fabric walks through arguments and fails on frozen dataclasses.
        fabric.launch(partial(_train, task=task))
    network = build(settings)
    load_result(folder, network)
    return network.eval()


def ema_model(network: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of a network's weights, with less decay at the start."""

    def average(averages: Any, weights: Any, count: Any) -> None:
        steps = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + steps) / (10 + steps)))(averages, weights, count)

    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


def make_fabric(hardware: Hardware) -> Fabric:
    """Return a Fabric for the requested hardware.

    Raises
    ------
    DeviceError
        If the device is not available.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = choose_device(hardware.device)
    half = half_precision(device) if hardware.precision == "auto" else None
    automatic = {torch.bfloat16: "bf16-mixed", torch.float16: "16-mixed", None: "32-true"}[half]
    precisions = {"auto": automatic, "32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
    # Messages are dropped at random, so some steps leave part of the network unused.
    distributed = DDPStrategy(start_method="spawn", find_unused_parameters=True)
    return Fabric(
        accelerator=device.type,
        devices=hardware.devices,
        precision=precisions[hardware.precision],  # type: ignore[arg-type]
        strategy=distributed if hardware.devices > 1 else "auto",
    )


@dataclass(frozen=True)
class _Task:
    """Arguments of every process of a run."""

    data: TrainingData
    settings: TrainSettings
    run: RunFolder
    hardware: Hardware
    resume: bool
    build: NetworkFactory


def _train_in_this_process(fabric: Fabric, task: _Task, monitor: ProgressMonitor) -> None:
    try:
        _train(fabric, task, monitor)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(
            f"The memory of {fabric.device.type} is full, even with activation checkpointing; "
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
    if task.hardware.activation_checkpointing:
        enable_activation_checkpointing(network)
    module, optimiser = fabric.setup(network, adam)
    trainer = Trainer(fabric, settings, module, optimiser, monitor.notify)
    average = ema_model(network, settings.ema_decay) if settings.ema_decay else None
    first = 0
    if task.resume:
        first = int(load_state(task.run.path, network, adam, average)["epochs"])
    batches = iter(_loader(fabric, task, first))
    for epoch in range(first, settings.epochs):
        rate = poly_rate(settings, epoch)
        for group in adam.param_groups:
            group["lr"] = rate
        start, waited, losses = time.perf_counter(), 0.0, []
        network.train()
        for step in range(epoch * settings.iterations, (epoch + 1) * settings.iterations):
            monitor.step("Training", step, settings.steps)
            requested = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - requested
            losses.append(trainer.step(batch, step))
            if average is not None:
                average.update_parameters(network)
        seconds = time.perf_counter() - start
        if fabric.is_global_zero:
            validated, cases = average or network, task.data.validation
            with fabric.autocast():
                scores = pseudo_dice(validated, cases, settings, fabric.device)
            loss, dice, cross_entropy, kl = np.mean(losses, axis=0).tolist()
            waiting = waited / seconds
            task.run.log(
                Epoch(epoch + 1, rate, loss, dice, cross_entropy, kl, waiting, seconds, scores)
            )
            save_state(task.run.path, network, adam, {"epochs": epoch + 1}, average)
        fabric.barrier()


def _loader(fabric: Fabric, task: _Task, first: int) -> DataLoader[dict[str, Tensor]]:
    sampler = DistributedPatchSampler(task.settings, first, fabric.global_rank, fabric.world_size)
    loader: DataLoader[dict[str, Tensor]] = DataLoader(
        Patches(task.data.train, task.settings, world=fabric.world_size, sources=task.data.sources),
        batch_size=task.settings.batch_size,
        sampler=sampler,
        num_workers=task.hardware.workers,
        pin_memory=fabric.device.type == "cuda",
    )
    return fabric.setup_dataloaders(loader, use_distributed_sampler=False)  # type: ignore[return-value]
