"""Where a network runs: a device with tiles that fit it, and a way on when its memory is full."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from napari_ciml.errors import DeviceError
from napari_ciml.inference.device import EngineName, is_out_of_memory, release
from napari_ciml.inference.tile_policy import choose_tiling, shrink_tiling
from napari_ciml.inference.tiles import Shape, Tiling
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.progress import ProgressMonitor

Result = TypeVar("Result")


@dataclass(frozen=True)
class Runtime:
    """A device with tiles that fit it.

    Parameters
    ----------
    device : torch.device
        Where the network runs.
    tiling : Tiling
        Of the volume.
    engine : str
        ``torch``, or ``openvino`` on the CPU.
    overlap : float, optional
        As in `SegmentSettings`, for tiles to be laid anew.
    """

    device: torch.device
    tiling: Tiling
    engine: EngineName = "torch"
    overlap: float | None = None


def choose_runtime(
    info: CheckpointInfo,
    shape: Shape,
    device: torch.device,
    engine: EngineName = "torch",
    overlap: float | None = None,
) -> Runtime:
    """Return where to begin with (Z, Y, X) voxels; ``overlap`` as in `SegmentSettings`."""
    return Runtime(device, choose_tiling(info, shape, device, overlap), engine, overlap)


def run_with_oom_fallback(
    run: Callable[[Runtime], Result],
    first: Runtime,
    shape: Shape,
    info: CheckpointInfo,
    monitor: ProgressMonitor,
) -> tuple[Result, Runtime]:
    """Run something over tiles; when memory is full, with smaller ones, then on the CPU.

    Parameters
    ----------
    run : callable
        What is run; its answer is returned.
    first : Workspace
        Where to begin.
    shape : tuple of int
        Of the volume, (Z, Y, X).
    info : CheckpointInfo
        Says which tiles suit the network.
    monitor : Monitor
        Hears of each step down.

    Returns
    -------
    tuple of object and Workspace
        The answer, and where it was computed in the end.

    Raises
    ------
    DeviceError
        If the CPU has no memory for even the smallest tile.
    """
    workspace = first
    while True:
        device = workspace.device
        try:
            return run(workspace), workspace
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the handler, so that the traceback no longer holds the tensors that filled it.
        release(device)
        tiling = shrink_tiling(info, shape, workspace.tiling, workspace.overlap)
        if tiling is not None:
            size = _text(tiling.tile)
            monitor.notify(f"The memory of {device.type} is full; going on with tiles of {size}.")
            workspace = replace(workspace, tiling=tiling)
        elif device.type != "cpu":
            monitor.notify(f"The memory of {device.type} is full; going on on the CPU.")
            cpu = torch.device("cpu")
            workspace = choose_runtime(info, shape, cpu, workspace.engine, workspace.overlap)
        else:
            raise DeviceError(
                "There is not enough memory for even the smallest tile; close other programs."
            )


def _text(tile: Shape) -> str:
    return " x ".join(str(edge) for edge in tile)
