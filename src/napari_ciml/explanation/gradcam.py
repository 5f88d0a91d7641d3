"""Grad-CAM on the complementary information of the shallowest gate (eq. 14, 15), tile by tile.

Gradients are taken of logits with respect to the aligned sum of the kappas; that of each kappa
follows through its 1x1x1 convolution. Only the neighbourhood of the target voxels is run again;
deeper features come from the cache of the segmentation, or are computed once more. Gradients have
the precision of the network and are summed in float32. The kappas of all tiles are held in half
precision: C * messages / 4 bytes for each voxel of the tiles (C = 32 and twelve messages over 3.6
million voxels: 330 MiB).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.explanation.result import Triple
from napari_ciml.inference.context import InferenceContext
from napari_ciml.inference.device import mixed_precision
from napari_ciml.inference.engines.torch import TorchEngine
from napari_ciml.inference.sliding_window import stack_and_pad, tile_inputs
from napari_ciml.inference.tiles import Tiling, blending_window
from napari_ciml.network.ciml import CIML
from napari_ciml.network.encoder import Encoder
from napari_ciml.network.last_level import ShallowState, run_last_level

_MARGIN = 4
"""Voxels of P/2 around the target voxels; the receptive field of the last level is three."""

_Targets = Mapping[Pair, tuple[int, Tensor]]
"""By pair, its output channel and the weights of the target voxels, (Z, Y, X)."""


@dataclass
class _TileSums:
    """What the maps are computed from, collected over the tiles.

    Attributes
    ----------
    gradients : dict of Pair to torch.Tensor
        Sum of the gradient over the whole volume, (C,).
    kappas : dict of Message to list of torch.Tensor
        Kappa of each tile, (C, z, y, x) float16 on the CPU.
    """

    gradients: dict[Pair, Tensor] = field(default_factory=dict)
    kappas: dict[Message, list[Tensor]] = field(default_factory=dict)


def complementary_maps(
    context: InferenceContext,
    images: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
) -> dict[Triple, np.ndarray]:
    """Compute zeta of eq. 14 for every pair and every auxiliary whose message it receives.

    Parameters
    ----------
    context : InferenceContext
        Checkpoint, plan, cache and monitor.
    images : mapping of str to numpy.ndarray
        By modality, normalised, (Z, Y, X) float32.
    targets : mapping of str to numpy.ndarray
        By region, the target voxels, (Z, Y, X) bool: y of eq. 15 is the sum of the region's logits
        over them. Maps of a region without target voxels are zero.

    Returns
    -------
    dict
        By (pair, auxiliary), (Z, Y, X) float32, not normalised, so comparable with each other.
    """
    shape, tiling = next(iter(images.values())).shape, context.runtime.tiling
    fractions = _blending_fractions(tiling)
    sums = _collect(context, images, targets, fractions)
    alphas = _alphas(context, sums, int(np.prod(shape)) / 8)
    return _blend_maps(context, sums, alphas, fractions, shape)


def _collect(
    context: InferenceContext,
    images: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    fractions: list[Tensor],
) -> _TileSums:
    """Run all tiles; collect kappas and gradients."""
    plan, device, tiling = context.plan, context.runtime.device, context.runtime.tiling
    network = context.checkpoint.network.to(device)
    stack = stack_and_pad(images, plan.modalities, tiling.shape)
    names = tuple(dict.fromkeys(pair.region for pair in plan.pairs))
    masks = stack_and_pad(
        {name: targets[name].astype(np.float32) for name in names}, names, tiling.shape
    )
    sums = _TileSums()
    for tile, box in enumerate(tiling.slices()):
        context.monitor.step("Explaining", tile, len(tiling))
        inputs = tile_inputs(stack, plan.modalities, box, device)
        weights = {
            name: (masks[k][box] * fractions[tile]).to(device)
            for k, name in enumerate(names)
            if masks[k][box].any()
        }
        for subtask, state in _states(context, network, inputs, tile).items():
            _add_kappas(sums, subtask, state)
            tile_targets = _tile_targets(context, subtask, weights)
            if tile_targets:
                image = torch.cat([inputs[m] for m in network.inputs[subtask]], dim=1)
                _add_gradients(sums, network, subtask, *_crop(image, state, tile_targets))
    return sums


def _add_kappas(sums: _TileSums, subtask: str, state: ShallowState) -> None:
    for auxiliary, kappa in state.kappas.items():
        half = kappa[0].to("cpu", torch.float16)
        sums.kappas.setdefault(Message(subtask, auxiliary), []).append(half)


def _tile_targets(
    context: InferenceContext, subtask: str, weights: Mapping[str, Tensor]
) -> _Targets:
    """Return the targets of a subtask's pairs in one tile, from the weights by region."""
    regions = context.checkpoint.network.decomposition.subtask(subtask).regions
    return {
        pair: (regions.index(pair.region), weights[pair.region])
        for pair in context.plan.pairs
        if pair.primary == subtask and pair.region in weights
    }


def _states(
    context: InferenceContext, network: CIML, inputs: Mapping[str, Tensor], tile: int
) -> dict[str, ShallowState]:
    """Return the state of every segmentor that receives messages, from the cache if possible."""
    plan, cache = context.plan, context.cache
    subtasks = [subtask for subtask in plan.subtasks if plan.auxiliaries(subtask)]
    cached = {subtask: cache.state(tile, subtask, plan) for subtask in subtasks}
    if all(cached.values()):
        return {subtask: state for subtask, state in cached.items() if state}
    engine = TorchEngine(network)
    with torch.no_grad(), mixed_precision(context.runtime.device):
        encoded = engine.encode(inputs, plan.subtasks, plan.muted, cache.messages(tile))
        return {
            subtask: state or engine.segment(subtask, encoded, plan.muted)[1]
            for subtask, state in cached.items()
        }


def _crop(
    image: Tensor, state: ShallowState, targets: _Targets
) -> tuple[Tensor, ShallowState, _Targets]:
    """Crop a tile to what the logits of the target voxels depend on in the last level.

    This is exact, since norm statistics are fixed and the margin covers the receptive field.
    """
    union = torch.stack([weight > 0 for _, weight in targets.values()]).any(dim=0)
    half_box, full_box = [], []
    for axis in range(3):
        indices = union.any(dim=[a for a in range(3) if a != axis]).nonzero()
        first = max(0, int(indices.min()) // 2 - _MARGIN)
        last = min(union.shape[axis] // 2, int(indices.max()) // 2 + _MARGIN + 1)
        half_box.append(slice(first, last))
        full_box.append(slice(2 * first, 2 * last))
    cropped_state = ShallowState(
        _cut(state.own, half_box),
        _cut(state.deep, half_box),
        {name: _cut(kappa, half_box) for name, kappa in state.kappas.items()},
        state.statistics,
    )
    cropped_targets = {
        pair: (channel, _cut(weight, full_box)) for pair, (channel, weight) in targets.items()
    }
    return _cut(image, full_box), cropped_state, cropped_targets


def _cut(values: Tensor, box: list[slice]) -> Tensor:
    z, y, x = box
    return values[..., z, y, x]


def _add_gradients(
    sums: _TileSums,
    network: CIML,
    subtask: str,
    image: Tensor,
    state: ShallowState,
    targets: _Targets,
) -> None:
    """Add the gradient of each pair's y (eq. 15) over one tile."""
    encoder, segmentor = cast("Encoder", network.encoders[subtask]), network.segmentor(subtask)
    with mixed_precision(image.device):
        with torch.no_grad():
            aligned = segmentor.shallow_gate().aligned_sum(state.own, state.kappas)
        with torch.enable_grad():
            aligned.requires_grad_()
            logits = run_last_level(encoder, segmentor, image, state, aligned)[0].float()
            ys = [(logits[channel] * weight).sum() for channel, weight in targets.values()]
    for count, (pair, y) in enumerate(zip(targets, ys, strict=True), start=1):
        (gradient,) = torch.autograd.grad(y, aligned, retain_graph=count < len(targets))
        total = gradient[0].sum(dim=(1, 2, 3), dtype=torch.float32).cpu()
        sums.gradients[pair] = sums.gradients.get(pair, 0) + total


def _alphas(context: InferenceContext, sums: _TileSums, count: float) -> dict[Triple, Tensor]:
    """Compute alpha of eq. 15, (C,), for every pair and auxiliary.

    Parameters
    ----------
    context : InferenceContext
        Network and plan.
    sums : _TileSums
        Gradients with respect to the aligned sum.
    count : float
        N of eq. 15: the number of voxels at P/2.
    """
    network, plan = context.checkpoint.network, context.plan
    zero = torch.zeros(network.settings.base_filters)
    alphas = {}
    for pair in plan.pairs:
        for auxiliary in plan.auxiliaries(pair.primary):
            gate = network.segmentor(pair.primary).shallow_gate()
            gradient = sums.gradients.get(pair, zero)
            alphas[pair, auxiliary] = gate.backproject_gradient(auxiliary, gradient) / count
    return alphas


def _blend_maps(
    context: InferenceContext,
    sums: _TileSums,
    alphas: Mapping[Triple, Tensor],
    fractions: list[Tensor],
    shape: tuple[int, ...],
) -> dict[Triple, np.ndarray]:
    """Compute eq. 14 by tile, blend the tiles at half resolution, and interpolate each map once."""
    tiling = context.runtime.tiling
    maps = {}
    unpadded = tuple(slice(edge) for edge in shape)
    boxes = [[slice(s.start // 2, s.stop // 2) for s in box] for box in tiling.slices()]
    half_fractions = [fraction[::2, ::2, ::2] for fraction in fractions]
    for index, ((pair, auxiliary), alpha) in enumerate(alphas.items()):
        context.monitor.step("Assembling maps", index, len(alphas))
        half = torch.zeros([edge // 2 for edge in tiling.shape])
        tiles = sums.kappas[Message(pair.primary, auxiliary)]
        for box, kappa, fraction in zip(boxes, tiles, half_fractions, strict=True):
            zeta = functional.relu(torch.einsum("c,czyx->zyx", alpha, kappa.float()))
            _cut(half, box).add_(fraction * zeta)
        maps[pair, auxiliary] = to_full_resolution(half)[unpadded].numpy()
    return maps


def to_full_resolution(zeta: Tensor) -> Tensor:
    """Interpolate a map from the shallowest gate's grid to the image's, trilinearly.

    A 3x3x3 convolution of stride 2 and padding 1 centres its output i on voxel 2i, so voxel i is
    mapped to 2i; aligning the outer corners instead would shift a map by half a voxel.

    Parameters
    ----------
    zeta : torch.Tensor
        (z, y, x).

    Returns
    -------
    torch.Tensor
        (2z, 2y, 2x).
    """
    size = [2 * edge - 1 for edge in zeta.shape]
    inner = functional.interpolate(zeta[None, None], size, mode="trilinear", align_corners=True)
    return functional.pad(inner, (0, 1) * 3, mode="replicate")[0, 0]


def _blending_fractions(tiling: Tiling) -> list[Tensor]:
    """Return each tile's fraction of its voxels, (z, y, x); those of a voxel sum to 1."""
    window = torch.from_numpy(blending_window(tiling.tile))
    total = torch.zeros(tiling.shape)
    for box in tiling.slices():
        total[box] += window
    return [window / total[box] for box in tiling.slices()]
