"""Where a network runs: a device with tiles that fit it, and a way on when its memory is full."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from napari_ciml.errors import DeviceError
from napari_ciml.inference.device import EngineName, is_out_of_memory, release
from napari_ciml.inference.tile_policy import first_tiling, smaller_tiling
from napari_ciml.inference.tiles import Shape, Tiling
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import Checkpoint

Result = TypeVar("Result")


@dataclass(frozen=True)
class Workspace:
    """A device with tiles that fit it.

    Parameters
    ----------
    device : torch.device
        Where the network runs.
    tiling : Tiling
        Of the volume.
    engine : str
        ``torch``, or ``openvino`` on the CPU.
    """

    device: torch.device
    tiling: Tiling
    engine: EngineName = "torch"


def with_fallback(
    run: Callable[[Workspace], Result],
    shape: Shape,
    checkpoint: Checkpoint,
    device: torch.device,
    monitor: Monitor,
    first: Workspace | None = None,
    engine: EngineName = "torch",
    overlap: float | None = None,
) -> tuple[Result, Workspace]:
    """Run something over tiles; when memory is full, with smaller ones, then on the CPU.

    Parameters
    ----------
    run : callable
        What is run; its answer is returned.
    shape : tuple of int
        Of the volume, (Z, Y, X).
    checkpoint : Checkpoint
        Says which tiles suit it.
    device : torch.device
        Where to begin.
    monitor : Monitor
        Hears of each step down.
    first : Workspace, optional
        Where something is kept of an earlier run, tried before anything else.
    engine : str
        As in `Workspace`.
    overlap : float, optional
        As in `SegmentSettings`, for the tiles to begin with.

    Returns
    -------
    tuple of object and Workspace
        The answer, and where it was computed in the end.

    Raises
    ------
    DeviceError
        If the CPU has no memory for even the smallest tile.
    """
    info = checkpoint.info
    workspace = first or Workspace(device, first_tiling(info, shape, device, overlap), engine)
    while True:
        device = workspace.device
        try:
            return run(workspace), workspace
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler, so that the traceback no longer holds the tensors that filled it.
        release(device)
        tiling = smaller_tiling(info, shape, workspace.tiling)
        if tiling is not None:
            size = _text(tiling.tile)
            monitor.tell(f"The memory of {device.type} is full; going on with tiles of {size}.")
        elif device.type != "cpu":
            monitor.tell(f"The memory of {device.type} is full; going on on the CPU.")
            device = torch.device("cpu")
            tiling = first_tiling(info, shape, device)
        else:
            raise DeviceError(
                "There is not enough memory for even the smallest tile; close other programs."
            )
        workspace = Workspace(device, tiling, workspace.engine)


def _text(tile: Shape) -> str:
    return " x ".join(str(edge) for edge in tile)
