"""A network over the tiles of a volume, with a way on when memory is full."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ciml.decomposition.model import Pair
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.device import mixed_precision
from napari_ciml.inference.engines.base import Engine
from napari_ciml.inference.engines.openvino.engine import compiled_engine
from napari_ciml.inference.engines.torch import TorchEngine
from napari_ciml.inference.multiscale import average_scales, coarse_images
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.tiles import Shape, blending_window
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.ciml import CIML
from napari_ciml.network.gate import Noise
from napari_ciml.progress import ProgressMonitor

_TURNS = tuple(axes for count in range(4) for axes in combinations((-3, -2, -1), count))
"""Axes along which a tile is mirrored, pass by pass; the first one takes it as it is."""

NoiseOfTile = Callable[[str, int], Noise]


def compile_parts(
    checkpoint: Checkpoint,
    plan: InferencePlan,
    workspace: Runtime,
    kept: InferenceCache,
    monitor: ProgressMonitor,
) -> None:
    """Compile what `predict_pairs` is going to run, where the engine compiles."""
    known = kept.probabilities(plan)
    subtasks = dict.fromkeys(pair.primary for pair in plan.pairs if pair not in known)
    if workspace.engine != "openvino" or not subtasks:
        return
    checkpoint.network.to(workspace.device)
    for one in (kept, kept.coarse):
        if one is not None:
            engine = compiled_engine(checkpoint, one.workspace.tiling.tile)
            engine.compile(tuple(subtasks), plan.muted, one.messages(0), monitor)


def predict_pairs(
    checkpoint: Checkpoint,
    images: Mapping[str, np.ndarray],
    plan: InferencePlan,
    workspace: Runtime,
    monitor: ProgressMonitor,
    kept: InferenceCache | None = None,
    noise: NoiseOfTile | None = None,
    stage: str = "Segmenting",
    mirror: bool = False,
    coarser: bool = False,
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
    coarser : bool
        As in `SegmentSettings`.

    Returns
    -------
    dict of Pair to numpy.ndarray
        Probabilities, (Z, Y, X) float32.
    """
    kept = kept or InferenceCache(workspace, messages_limit=0, answers_limit=0, states_limit=0)
    if noise is not None:
        return _over_tiles(checkpoint, images, plan, workspace, monitor, kept, noise, stage, False)
    known = kept.probabilities(plan)
    rest = replace(plan, pairs=tuple(pair for pair in plan.pairs if pair not in known))
    if rest.pairs:
        made = _over_tiles(checkpoint, images, rest, workspace, monitor, kept, None, stage, mirror)
        if coarser:
            small = coarse_images(images)
            far = kept.coarser(next(iter(images.values())).shape)
            where, told = far.workspace, f"{stage} at larger voxels"
            more = _over_tiles(checkpoint, small, rest, where, monitor, far, None, told, mirror)
            made = {pair: average_scales(values, more[pair]) for pair, values in made.items()}
        kept.store_probabilities(rest, made)
        known |= made
    return {pair: known[pair] for pair in plan.pairs}


def _over_tiles(
    checkpoint: Checkpoint,
    images: Mapping[str, np.ndarray],
    plan: InferencePlan,
    workspace: Runtime,
    monitor: ProgressMonitor,
    kept: InferenceCache,
    noise: NoiseOfTile | None,
    stage: str,
    mirror: bool,
) -> dict[Pair, np.ndarray]:
    device, tiling = workspace.device, workspace.tiling
    network = checkpoint.network.to(device)
    engine = _engine(checkpoint, workspace)
    run = _run_tile(engine, network, plan, kept, monitor, noise)
    window = torch.from_numpy(blending_window(tiling.tile))
    stack = stack_and_pad(images, plan.modalities, tiling.shape)
    totals = torch.zeros(len(plan.pairs), *tiling.shape)
    weight = torch.zeros(tiling.shape)
    passes = [
        (tile, where, turned)
        for tile, where in enumerate(tiling.slices())
        for turned in (_TURNS if mirror else _TURNS[:1])
    ]
    try:
        for done, (tile, where, turned) in enumerate(passes):
            monitor.step(stage, done, len(passes))
            with torch.no_grad(), mixed_precision(device):
                inputs = tile_inputs(stack, plan.modalities, where, device, turned)
                logits = run(tile, inputs, not turned)
            for k, pair in enumerate(plan.pairs):
                channel = network.decomposition.subtask(pair.primary).regions.index(pair.region)
                found = torch.sigmoid(logits[pair.primary][channel])
                totals[k][where] += window * (found.flip(turned) if turned else found)
            weight[where] += window
    finally:
        engine.release()
    monitor.step(stage, len(passes), len(passes))
    shape = next(iter(images.values())).shape
    inside = tuple(slice(edge) for edge in shape)
    totals /= weight
    return {pair: totals[k][inside].numpy() for k, pair in enumerate(plan.pairs)}


_Logits = dict[str, Tensor]
"""By subtask, (regions, Z, Y, X) float32 on the CPU."""


def _engine(checkpoint: Checkpoint, workspace: Runtime) -> Engine:
    if workspace.engine == "openvino":
        return compiled_engine(checkpoint, workspace.tiling.tile)
    return TorchEngine(checkpoint.network)


def _run_tile(
    engine: Engine,
    network: CIML,
    plan: InferencePlan,
    kept: InferenceCache,
    monitor: ProgressMonitor,
    noise: NoiseOfTile | None,
) -> Callable[[int, Mapping[str, Tensor], bool], _Logits]:
    """Return what runs a tile, given its number, its inputs, and whether it is as it lies."""
    if noise is not None:
        return lambda tile, inputs, _: _sampled(network, plan, kept, noise, tile, inputs)

    def run(tile: int, inputs: Mapping[str, Tensor], straight: bool) -> _Logits:
        known = kept.messages(tile) if straight else {}
        found = engine.run(inputs, plan.subtasks, plan.muted, known, monitor)
        if straight:
            kept.store_messages(tile, found.levels)
            for name, (_, state) in found.answers.items():
                kept.store_state(tile, name, plan, state)
        return {name: logits for name, (logits, _) in found.answers.items()}

    return run


def _sampled(
    network: CIML,
    plan: InferencePlan,
    kept: InferenceCache,
    noise: NoiseOfTile,
    tile: int,
    inputs: Mapping[str, Tensor],
) -> _Logits:
    """Run a tile with sampled kappas."""
    known = kept.messages(tile)
    encoded = network.encode(inputs, plan.subtasks, plan.muted, known)
    kept.store_messages(tile, {n: e.levels for n, e in encoded.items() if n not in known})
    logits = {}
    for name in plan.subtasks:
        heard = network.incoming_messages(name, encoded, plan.muted)
        found = network.segmentor(name)(encoded[name], heard, noise(name, tile))
        logits[name] = found.logits[0].float().cpu()
    return logits


def stack_and_pad(
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
