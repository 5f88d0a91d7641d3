"""Runtime of a network: device, tiles that fit it and engine; fallback if memory is full."""

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
    """Device, tiles and engine.

    Parameters
    ----------
    device : torch.device
        Device of the network.
    tiling : Tiling
        Tiles of the volume.
    engine : {"torch", "openvino"}
        Engine; ``openvino`` on the CPU only.
    overlap : float, optional
        Requested overlap of tiles, see `RunOptions`; needed to choose smaller tiles.
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
    """Return the runtime for a volume.

    Parameters
    ----------
    info : CheckpointInfo
        Gives norm, width and patch of the network.
    shape : tuple of int
        Shape of the volume, (Z, Y, X).
    device : torch.device
        Device whose memory the tiles have to fit.
    engine : {"torch", "openvino"}
        Engine.
    overlap : float, optional
        Overlap of tiles, see `RunOptions`.
    """
    return Runtime(device, choose_tiling(info, shape, device, overlap), engine, overlap)


def run_with_oom_fallback(
    run: Callable[[Runtime], Result],
    first: Runtime,
    shape: Shape,
    info: CheckpointInfo,
    monitor: ProgressMonitor,
) -> tuple[Result, Runtime]:
    """Call a function; if memory is full, again with smaller tiles, then on the CPU.

    Parameters
    ----------
    run : callable
        Called with a runtime.
    first : Runtime
        Runtime of the first call.
    shape : tuple of int
        Shape of the volume, (Z, Y, X).
    info : CheckpointInfo
        Decides which tiles suit the network.
    monitor : ProgressMonitor
        Notified of each fallback.

    Returns
    -------
    tuple of object and Runtime
        The function's result, and the runtime it succeeded with.

    Raises
    ------
    DeviceError
        If the CPU has no memory for even the smallest tile.
    """
    runtime = first
    while True:
        try:
            return run(runtime), runtime
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the handler, so that the traceback no longer holds the tensors.
        release(runtime.device)
        runtime = _smaller_runtime(runtime, shape, info, monitor)


def _smaller_runtime(
    runtime: Runtime, shape: Shape, info: CheckpointInfo, monitor: ProgressMonitor
) -> Runtime:
    """Return a runtime that needs less memory of the device, or one on the CPU."""
    device = runtime.device
    tiling = shrink_tiling(info, shape, runtime.tiling, runtime.overlap)
    if tiling is not None:
        size = " x ".join(str(edge) for edge in tiling.tile)
        monitor.notify(f"The memory of {device.type} is full; continuing with tiles of {size}.")
        return replace(runtime, tiling=tiling)
    if device.type != "cpu":
        monitor.notify(f"The memory of {device.type} is full; continuing on the CPU.")
        return choose_runtime(info, shape, torch.device("cpu"), runtime.engine, runtime.overlap)
    raise DeviceError(
        "There is not enough memory for even the smallest tile; close other programs."
    )
