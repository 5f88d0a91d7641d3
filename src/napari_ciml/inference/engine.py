"""The PyTorch engine: a network over the tiles of a volume, with a way on when memory is full."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ciml.decomposition import Pair
from napari_ciml.errors import DeviceError
from napari_ciml.inference.compiled import CompiledEngine, compiled_engine
from napari_ciml.inference.device import EngineName, is_out_of_memory, mixed_precision, release
from napari_ciml.inference.kept import Kept
from napari_ciml.inference.plan import Plan
from napari_ciml.inference.tile_policy import first_tiling, smaller_tiling
from napari_ciml.inference.tiles import Shape, Tiling, blending_window
from napari_ciml.inference.torch_engine import TorchEngine
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.encoder import Embeddings
from napari_ciml.network.gate import Noise

_TURNS = tuple(axes for count in range(4) for axes in combinations((-3, -2, -1), count))
"""Axes along which a tile is mirrored, pass by pass; the first one takes it as it is."""

Result = TypeVar("Result")

NoiseOfTile = Callable[[str, int], Noise]


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
    workspace = first or Workspace(device, first_tiling(info, shape, device), engine)
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


def compile_parts(
    checkpoint: Checkpoint, plan: Plan, workspace: Workspace, kept: Kept, monitor: Monitor
) -> None:
    """Compile what `predict_pairs` is going to run, where the engine compiles."""
    known = kept.answers(plan)
    subtasks = dict.fromkeys(pair.primary for pair in plan.pairs if pair not in known)
    if workspace.engine == "openvino" and subtasks:
        network = checkpoint.network.to(workspace.device)
        parts = compiled_engine(network, workspace.tiling.tile, monitor)
        parts.compile(tuple(subtasks), plan.muted)


def predict_pairs(
    checkpoint: Checkpoint,
    images: Mapping[str, np.ndarray],
    plan: Plan,
    workspace: Workspace,
    monitor: Monitor,
    kept: Kept | None = None,
    noise: NoiseOfTile | None = None,
    stage: str = "Segmenting",
    mirror: bool = False,
) -> dict[Pair, np.ndarray]:
    """Compute every pair's probability over a volume, but what is kept of it.

    Parameters
    ----------
    checkpoint : Checkpoint
        The network.
    images : mapping of str to numpy.ndarray
        By modality, normalised, (Z, Y, X) float32.
    plan : Plan
        Which pairs, which messages.
    workspace : Workspace
        Device and tiles.
    monitor : Monitor
        Told after each tile.
    kept : Kept, optional
        Of an earlier run in the same workspace; what this one makes is added.
    noise : callable, optional
        Draws eps for a subtask and the number of a tile: kappa is sampled, and no answer kept.
    stage : str
        What the monitor is told.
    mirror : bool
        As in `SegmentSettings`.

    Returns
    -------
    dict of Pair to numpy.ndarray
        Probabilities, (Z, Y, X) float32.
    """
    kept = kept or Kept(workspace, messages_limit=0, answers_limit=0, states_limit=0)
    if noise is not None:
        return _over_tiles(checkpoint, images, plan, workspace, monitor, kept, noise, stage, False)
    known = kept.answers(plan)
    rest = replace(plan, pairs=tuple(pair for pair in plan.pairs if pair not in known))
    if rest.pairs:
        made = _over_tiles(checkpoint, images, rest, workspace, monitor, kept, None, stage, mirror)
        kept.remember(rest, made)
        known |= made
    return {pair: known[pair] for pair in plan.pairs}


def _over_tiles(
    checkpoint: Checkpoint,
    images: Mapping[str, np.ndarray],
    plan: Plan,
    workspace: Workspace,
    monitor: Monitor,
    kept: Kept,
    noise: NoiseOfTile | None,
    stage: str,
    mirror: bool,
) -> dict[Pair, np.ndarray]:
    device, tiling = workspace.device, workspace.tiling
    network = checkpoint.network.to(device)
    engine: TorchEngine | CompiledEngine = TorchEngine(network)

    def segmentor(
        name: str,
        inputs: Mapping[str, Tensor],
        encoded: Mapping[str, Embeddings],
        tile: int,
        turned: tuple[int, ...],
    ) -> Tensor:
        if noise is None:
            logits, state = engine.segment(name, inputs, encoded, plan.muted)
            if not turned:
                kept.keep_state(tile, name, plan, state)
            return logits
        heard = network.messages_to(name, encoded, plan.muted)
        found = network.segmentor(name)(encoded[name], heard, noise(name, tile))
        return cast("Tensor", found.logits[0].float().cpu())

    if workspace.engine == "openvino" and noise is None:
        engine = compiled_engine(network, tiling.tile, monitor)
    window = torch.from_numpy(blending_window(tiling.tile))
    stack = padded_stack(images, plan.modalities, tiling.shape)
    totals = torch.zeros(len(plan.pairs), *tiling.shape)
    weight = torch.zeros(tiling.shape)
    passes = [
        (tile, where, turned)
        for tile, where in enumerate(tiling.slices())
        for turned in (_TURNS if mirror else _TURNS[:1])
    ]
    for done, (tile, where, turned) in enumerate(passes):
        monitor.step(stage, done, len(passes))
        with torch.no_grad(), mixed_precision(device):
            inputs = tile_inputs(stack, plan.modalities, where, device, turned)
            if turned:
                encoded = engine.encode(inputs, plan.subtasks, plan.muted)
            else:
                encoded = kept.encode(engine.encode, tile, inputs, plan)
            logits = {
                name: segmentor(name, inputs, encoded, tile, turned) for name in plan.subtasks
            }
        for k, pair in enumerate(plan.pairs):
            channel = network.decomposition.subtask(pair.primary).regions.index(pair.region)
            found = torch.sigmoid(logits[pair.primary][channel])
            totals[k][where] += window * (found.flip(turned) if turned else found)
        weight[where] += window
    monitor.step(stage, len(passes), len(passes))
    shape = next(iter(images.values())).shape
    inside = tuple(slice(edge) for edge in shape)
    totals /= weight
    return {pair: totals[k][inside].numpy() for k, pair in enumerate(plan.pairs)}


def padded_stack(
    images: Mapping[str, np.ndarray], modalities: tuple[str, ...], shape: Shape
) -> Tensor:
    """Stack modalities, (M, Z, Y, X) float32, padded behind with the background value 0."""
    first = images[modalities[0]].shape
    padding = [
        pad for a, b in zip(reversed(first), reversed(shape), strict=True) for pad in (0, b - a)
    ]
    stack = torch.stack([torch.from_numpy(np.ascontiguousarray(images[m])) for m in modalities])
    return functional.pad(stack, padding)


def tile_inputs(
    stack: Tensor,
    modalities: tuple[str, ...],
    where: tuple[slice, ...],
    device: torch.device,
    mirrored: tuple[int, ...] = (),
) -> dict[str, Tensor]:
    """Return one tile of every modality, each (1, 1, Z, Y, X) on the device, mirrored or not."""
    tiles = {m: stack[k][where][None, None].to(device) for k, m in enumerate(modalities)}
    return {m: tile.flip(mirrored) for m, tile in tiles.items()} if mirrored else tiles


def _text(tile: Shape) -> str:
    return " x ".join(str(edge) for edge in tile)
