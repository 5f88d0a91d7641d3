"""Sliding-window inference: run an engine over all tiles of a volume and blend the results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ciml.decomposition.model import Pair
from napari_ciml.inference.context import InferenceContext
from napari_ciml.inference.device import mixed_precision
from napari_ciml.inference.engines.base import Engine
from napari_ciml.inference.engines.openvino.engine import compiled_engine
from napari_ciml.inference.engines.torch import TorchEngine
from napari_ciml.inference.multiscale import average_scales, coarse_images
from napari_ciml.inference.tiles import Shape, Tiling, blending_window
from napari_ciml.network.ciml import CIML
from napari_ciml.network.gate import Noise

_FLIPS = tuple(axes for count in range(4) for axes in combinations((-3, -2, -1), count))
"""Flipped axes of each test-time augmentation pass; the first pass flips none."""

NoiseOfTile = Callable[[str, int], Noise]
"""Returns the noise of a subtask's segmentor over a tile, given by its index."""

_Logits = dict[str, Tensor]
"""By subtask, (regions, Z, Y, X) float32 on the CPU."""

_TileRunner = Callable[[int, Mapping[str, Tensor], bool], _Logits]
"""Runs a tile, given its index, its inputs, and whether cached features are of these inputs."""


@dataclass(frozen=True)
class _PassOptions:
    """Options of one pass over a volume, as in `predict_pairs`."""

    stage: str
    test_time_flips: bool = False
    noise: NoiseOfTile | None = None


def compile_parts(context: InferenceContext) -> None:
    """Compile what `predict_pairs` is going to run, if the engine of the context compiles."""
    plan, cache = context.plan, context.cache
    cached = cache.probabilities(plan)
    subtasks = dict.fromkeys(pair.primary for pair in plan.pairs if pair not in cached)
    if context.runtime.engine != "openvino" or not subtasks:
        return
    context.checkpoint.network.to(context.runtime.device)
    for scale in (cache, cache.coarse):
        if scale is not None:
            engine = compiled_engine(context.checkpoint, scale.runtime.tiling.tile)
            engine.compile(tuple(subtasks), plan.muted, scale.messages(0), context.monitor)


def predict_pairs(
    context: InferenceContext,
    images: Mapping[str, np.ndarray],
    noise: NoiseOfTile | None = None,
    stage: str = "Segmenting",
    test_time_flips: bool = False,
    multiscale: bool = False,
) -> dict[Pair, np.ndarray]:
    """Compute the probability of every pair of a plan over a volume.

    Probabilities in the cache are not computed again.

    Parameters
    ----------
    context : InferenceContext
        Checkpoint, plan, cache and monitor.
    images : mapping of str to numpy.ndarray
        By modality, normalised, (Z, Y, X) float32.
    noise : callable, optional
        Noise by subtask and tile: kappa is sampled (eq. 9), and no probability is cached.
    stage : str
        Stage that is reported to the monitor.
    test_time_flips : bool
        Average over flips along all axes, see `RunOptions`.
    multiscale : bool
        Average with a second pass at larger voxels, see `RunOptions`.

    Returns
    -------
    dict of Pair to numpy.ndarray
        Probabilities, (Z, Y, X) float32.
    """
    plan, cache = context.plan, context.cache
    if noise is not None:
        return _run_over_tiles(context, images, _PassOptions(stage, noise=noise))
    probabilities = cache.probabilities(plan)
    remaining = replace(plan, pairs=tuple(p for p in plan.pairs if p not in probabilities))
    if remaining.pairs:
        rest = replace(context, plan=remaining)
        computed = _run_over_tiles(rest, images, _PassOptions(stage, test_time_flips))
        if multiscale:
            coarse = _run_coarse(rest, images, _PassOptions(stage, test_time_flips))
            computed = {p: average_scales(values, coarse[p]) for p, values in computed.items()}
        cache.store_probabilities(remaining, computed)
        probabilities |= computed
    return {pair: probabilities[pair] for pair in plan.pairs}


def _run_coarse(
    context: InferenceContext, images: Mapping[str, np.ndarray], options: _PassOptions
) -> dict[Pair, np.ndarray]:
    """Run the second pass, at larger voxels; results are on their grid."""
    cache = context.cache.ensure_coarse(next(iter(images.values())).shape)
    coarse_options = replace(options, stage=f"{options.stage} at larger voxels")
    return _run_over_tiles(replace(context, cache=cache), coarse_images(images), coarse_options)


def _run_over_tiles(
    context: InferenceContext, images: Mapping[str, np.ndarray], options: _PassOptions
) -> dict[Pair, np.ndarray]:
    """Run every tile of one pass, and blend the probabilities of the plan's pairs."""
    plan, monitor = context.plan, context.monitor
    device, tiling = context.runtime.device, context.runtime.tiling
    network = context.checkpoint.network.to(device)
    engine = _make_engine(context)
    run = _tile_runner(engine, context, options.noise)
    stack = stack_and_pad(images, plan.modalities, tiling.shape)
    blended = _BlendedVolumes(len(plan.pairs), tiling)
    passes = [
        (tile, box, flip)
        for tile, box in enumerate(tiling.slices())
        for flip in (_FLIPS if options.test_time_flips else _FLIPS[:1])
    ]
    try:
        for step, (tile, box, flip) in enumerate(passes):
            monitor.step(options.stage, step, len(passes))
            with torch.no_grad(), mixed_precision(device):
                inputs = tile_inputs(stack, plan.modalities, box, device, flip)
                logits = run(tile, inputs, not flip)
            for index, pair in enumerate(plan.pairs):
                values = torch.sigmoid(_logits_of(pair, logits, network))
                blended.add(index, box, values.flip(flip) if flip else values)
            blended.add_weight(box)
    finally:
        engine.release()
    monitor.step(options.stage, len(passes), len(passes))
    means = blended.means(next(iter(images.values())).shape)
    return {pair: means[index].numpy() for index, pair in enumerate(plan.pairs)}


class _BlendedVolumes:
    """Weighted means of overlapping tiles.

    Parameters
    ----------
    count : int
        Number of volumes.
    tiling : Tiling
        Tiles of each volume.
    """

    def __init__(self, count: int, tiling: Tiling) -> None:
        self._window = torch.from_numpy(blending_window(tiling.tile))
        self._sums = torch.zeros(count, *tiling.shape)
        self._weights = torch.zeros(tiling.shape)

    def add(self, index: int, box: tuple[slice, ...], values: Tensor) -> None:
        """Add a tile of one volume."""
        self._sums[index][box] += self._window * values

    def add_weight(self, box: tuple[slice, ...]) -> None:
        """Count a tile that was added to all volumes."""
        self._weights[box] += self._window

    def means(self, shape: Shape) -> Tensor:
        """Return the volumes, (count, Z, Y, X) float32, without padding; ends the blending."""
        self._sums /= self._weights
        z, y, x = shape
        return self._sums[:, :z, :y, :x]


def _logits_of(pair: Pair, logits: _Logits, network: CIML) -> Tensor:
    channel = network.decomposition.subtask(pair.primary).regions.index(pair.region)
    return logits[pair.primary][channel]


def _make_engine(context: InferenceContext) -> Engine:
    if context.runtime.engine == "openvino":
        return compiled_engine(context.checkpoint, context.runtime.tiling.tile)
    return TorchEngine(context.checkpoint.network)


def _tile_runner(
    engine: Engine, context: InferenceContext, noise: NoiseOfTile | None
) -> _TileRunner:
    """Return the function that runs a tile: with sampled kappas if there is noise."""
    plan, cache = context.plan, context.cache
    if noise is not None:
        return lambda tile, inputs, _: _run_sampled(context, noise, tile, inputs)

    def run(tile: int, inputs: Mapping[str, Tensor], use_cache: bool) -> _Logits:
        messages = cache.messages(tile) if use_cache else {}
        result = engine.run(inputs, plan.subtasks, plan.muted, messages, context.monitor)
        if use_cache:
            cache.store_messages(tile, result.levels)
            for name, (_, state) in result.outputs.items():
                cache.store_state(tile, name, plan, state)
        return {name: logits for name, (logits, _) in result.outputs.items()}

    return run


def _run_sampled(
    context: InferenceContext, noise: NoiseOfTile, tile: int, inputs: Mapping[str, Tensor]
) -> _Logits:
    """Run a tile with sampled kappas (eq. 9)."""
    network, plan, cache = context.checkpoint.network, context.plan, context.cache
    cached = cache.messages(tile)
    encoded = network.encode(inputs, plan.subtasks, plan.muted, cached)
    new = {name: e.levels for name, e in encoded.items() if name not in cached}
    cache.store_messages(tile, new)
    logits = {}
    for name in plan.subtasks:
        messages = network.incoming_messages(name, encoded, plan.muted)
        prediction = network.segmentor(name)(encoded[name], messages, noise(name, tile))
        logits[name] = prediction.logits[0].float().cpu()
    return logits


def stack_and_pad(
    images: Mapping[str, np.ndarray], modalities: tuple[str, ...], shape: Shape
) -> Tensor:
    """Stack modalities and pad them at the end with the background value 0.

    Parameters
    ----------
    images : mapping of str to numpy.ndarray
        By modality, (Z, Y, X) float32.
    modalities : tuple of str
        Modalities, in the order of the first axis.
    shape : tuple of int
        Padded shape (Z, Y, X).

    Returns
    -------
    torch.Tensor
        (M, Z, Y, X) float32.
    """
    unpadded = images[modalities[0]].shape
    padding = [
        pad for a, b in zip(reversed(unpadded), reversed(shape), strict=True) for pad in (0, b - a)
    ]
    stack = torch.stack([torch.from_numpy(np.ascontiguousarray(images[m])) for m in modalities])
    return functional.pad(stack, padding)


def tile_inputs(
    stack: Tensor,
    modalities: tuple[str, ...],
    box: tuple[slice, ...],
    device: torch.device,
    flip: tuple[int, ...] = (),
) -> dict[str, Tensor]:
    """Cut one tile out of every modality and move it to the device.

    Parameters
    ----------
    stack : torch.Tensor
        (M, Z, Y, X), as `stack_and_pad` returns.
    modalities : tuple of str
        Modalities, in the order of the first axis.
    box : tuple of slice
        The tile, (Z, Y, X).
    device : torch.device
        Device of the result.
    flip : tuple of int
        Axes along which the tile is flipped.

    Returns
    -------
    dict of str to torch.Tensor
        By modality, each (1, 1, Z, Y, X).
    """
    tiles = {m: stack[k][box][None, None].to(device) for k, m in enumerate(modalities)}
    return {m: tile.flip(flip) for m, tile in tiles.items()} if flip else tiles
