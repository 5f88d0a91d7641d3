"""Training state of a fine-tune, saved now and then so that an interruption loses little."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from napari_ciml.training.finetune.clock import Clock
from napari_ciml.training.state import STATE, load_state, read_progress, save_state

_MAX_OVERHEAD = 0.03
"""Largest fraction of the time that may be spent on saving."""


def saved_progress(folder: Path | None) -> tuple[int, float]:
    """Return optimiser steps and fraction of the budget of an interrupted fine-tune; else zeros."""
    if folder is None or not (folder / STATE).is_file():
        return 0, 0.0
    progress = read_progress(folder)
    return int(progress["steps"]), progress["fraction"]


@dataclass
class StateSaver:
    """Save weights, Adam's moments, step number and used budget.

    Parameters
    ----------
    folder : pathlib.Path or None
        Folder of the state file; without one nothing is saved.
    network : torch.nn.Module
        Network that is trained.
    adam : torch.optim.Optimizer
        Its optimiser.
    clock : Clock
        Budget of the fine-tune.
    now : callable
        Monotonic time in seconds.
    """

    folder: Path | None
    network: nn.Module
    adam: torch.optim.Optimizer
    clock: Clock
    now: Callable[[], float] = time.monotonic
    saved_at: float = field(init=False)
    cost: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.saved_at = self.now()

    def restore(self) -> None:
        """Load the saved state into the network and the optimiser."""
        if self.folder is not None:
            load_state(self.folder, self.network, self.adam)

    def save(self, steps: int) -> None:
        """Save the state after ``steps`` optimiser steps."""
        start = self.now()
        if self.folder is not None:
            progress = {"steps": steps, "fraction": self.clock.fraction_done(steps)}
            save_state(self.folder, self.network, self.adam, progress)
        self.saved_at = self.now()
        self.cost = self.saved_at - start

    def save_if_due(self, steps: int) -> None:
        """Save the state unless saving would take more than 3 % of the time."""
        if self.now() - self.saved_at >= self.cost / _MAX_OVERHEAD:
            self.save(steps)
