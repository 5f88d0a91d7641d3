"""What an engine makes of a tile."""

from typing import NamedTuple

from torch import Tensor

from napari_ciml.network.last_level import State

Levels = tuple[Tensor, ...]
"""What an encoder gives from P/2 down, (1, C, P/2 ...), (1, 2C, P/4 ...) and so on: a message."""


class Ran(NamedTuple):
    """One tile, run.

    Parameters
    ----------
    levels : dict of str to Levels
        By encoder, of those that were run.
    answers : dict of str to tuple of torch.Tensor and State
        By subtask: logits, (regions, Z, Y, X) float32 on the CPU, and the state.
    """

    levels: dict[str, Levels]
    answers: dict[str, tuple[Tensor, State]]
