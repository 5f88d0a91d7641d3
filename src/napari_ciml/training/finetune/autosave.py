"""The state of a fine-tune under way, kept so that it can be gone on with."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from napari_ciml.training.finetune.clock import Clock
from napari_ciml.training.state import STATE, load_state, read_progress, save_state

_SHARE = 0.03
"""Of the time, that keeping may take: what a crash loses is as much work as that allows."""


def saved_progress(folder: Path | None) -> tuple[int, float]:
    """Return the steps taken and the share of the time that an interrupted fine-tune had."""
    if folder is None or not (folder / STATE).is_file():
        return 0, 0.0
    done = read_progress(folder)
    return int(done["steps"]), done["share"]


@dataclass
class StateSaver:
    """Keeps weights, the optimiser's moments, the steps and the time.

    Parameters
    ----------
    folder : pathlib.Path or None
        Where; without one nothing is kept.
    network : torch.nn.Module
        That learns.
    adam : torch.optim.Optimizer
        That it learns by.
    clock : Clock
        Its time.
    """

    folder: Path | None
    network: nn.Module
    adam: torch.optim.Optimizer
    clock: Clock
    last: float = field(default_factory=time.monotonic)
    cost: float = 0.0

    def restore(self) -> None:
        """Put back what was kept."""
        if self.folder is not None:
            load_state(self.folder, self.network, self.adam)

    def save(self, steps: int) -> None:
        """Keep it as it is now."""
        begun = time.monotonic()
        if self.folder is not None:
            done = {"steps": steps, "share": self.clock.fraction_done(steps)}
            save_state(self.folder, self.network, self.adam, done)
        self.last = time.monotonic()
        self.cost = self.last - begun

    def save_if_due(self, steps: int) -> None:
        """Keep it, if that was not done for a while in which it would not have mattered."""
        if (time.monotonic() - self.last) * _SHARE >= self.cost:
            self.save(steps)
