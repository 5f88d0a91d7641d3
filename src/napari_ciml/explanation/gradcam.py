"""Grad-CAM on the complementary information of the shallowest gate (eq. 14, 15), tile by tile.

The gradient runs from the logits to the aligned sum of the kappas and no further: every kappa's is
that one through its 1x1x1 convolution. Only what is near the voxels asked about is run again; what
lies below was kept by the segmentation, or is run once more. Gradients are taken in the precision
that the network runs in, and summed in float32. Memory: the kappas of all tiles are kept in half
precision, C bytes * messages / 4 for each voxel that the tiles cover (C = 32 and twelve messages
over 3.6 million voxels: 330 MiB).
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
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.device import mixed_precision
from napari_ciml.inference.engines.torch import TorchEngine
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.sliding_window import stack_and_pad, tile_inputs
from napari_ciml.inference.tiles import blending_window
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.ciml import CIML
from napari_ciml.network.encoder import Encoder
from napari_ciml.network.last_level import ShallowState, run_last_level
from napari_ciml.progress import ProgressMonitor

_AROUND = 4
"""Voxels of P/2 around those asked about; the predictor's last level sees three."""

_Asked = Mapping[Pair, tuple[int, Tensor]]
"""By pair, its channel and the weights of the voxels asked about, (Z, Y, X)."""


@dataclass
class _Gathered:
    """Gradient sums over the whole volume, (C,) each; and kappa of each tile, (C, z, y, x)."""

    gradients: dict[Pair, Tensor] = field(default_factory=dict)
    kappas: dict[Message, list[Tensor]] = field(default_factory=dict)


def complementary_maps(
    checkpoint: Checkpoint,
    images: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    plan: InferencePlan,
    workspace: Runtime,
    monitor: ProgressMonitor,
    kept: InferenceCache | None = None,
) -> dict[Triple, np.ndarray]:
    """Compute zeta of eq. 14 for every pair and every auxiliary it hears.

    Parameters
    ----------
    checkpoint : Checkpoint
        The network.
    images : mapping of str to numpy.ndarray
        By modality, normalised, (Z, Y, X) float32.
    targets : mapping of str to numpy.ndarray
        By region, the voxels asked about, (Z, Y, X) bool: y of eq. 15 is the sum of the region's
        logits over them. A region without a voxel gets zero maps.
    plan : Plan
        Which pairs, which messages.
    workspace : Workspace
        Device and tiles.
    monitor : Monitor
        Told after each tile.
    kept : Kept, optional
        Messages of a run in the same workspace.

    Returns
    -------
    dict
        By (pair, auxiliary), (Z, Y, X) float32, not normalised, so comparable with each other.
    """
    shape = next(iter(images.values())).shape
    kept = kept or InferenceCache(workspace, messages_limit=0, states_limit=0)
    window = torch.from_numpy(blending_window(workspace.tiling.tile))
    share = _blending_shares(window, workspace)
    gathered = _gather(checkpoint, images, targets, share, plan, kept, monitor)
    alphas = _alphas(checkpoint.network, gathered, plan, int(np.prod(shape)) / 8)
    return _assemble(gathered, alphas, share, shape, workspace, monitor)


def _gather(
    checkpoint: Checkpoint,
    images: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    share: list[Tensor],
    plan: InferencePlan,
    kept: InferenceCache,
    monitor: ProgressMonitor,
) -> _Gathered:
    device, tiling = kept.workspace.device, kept.workspace.tiling
    network = checkpoint.network.to(device)
    stack = stack_and_pad(images, plan.modalities, tiling.shape)
    masks = {pair.region: targets[pair.region] for pair in plan.pairs}
    asked = stack_and_pad(
        {name: mask.astype(np.float32) for name, mask in masks.items()}, tuple(masks), tiling.shape
    )
    gathered = _Gathered()
    for done, where in enumerate(tiling.slices()):
        monitor.step("Explaining", done, len(tiling))
        inputs = tile_inputs(stack, plan.modalities, where, device)
        states = _states(network, inputs, done, plan, kept)
        weights = {
            name: (asked[k][where] * share[done]).to(device)
            for k, name in enumerate(masks)
            if asked[k][where].any()
        }
        for subtask, state in states.items():
            for auxiliary, kappa in state.kappas.items():
                half = kappa[0].to("cpu", torch.float16)
                gathered.kappas.setdefault(Message(subtask, auxiliary), []).append(half)
            regions = network.decomposition.subtask(subtask).regions
            pairs = [p for p in plan.pairs if p.primary == subtask and p.region in weights]
            if pairs:
                seen = torch.cat([inputs[m] for m in network.inputs[subtask]], dim=1)
                about = {p: (regions.index(p.region), weights[p.region]) for p in pairs}
                _add_gradients(gathered, network, subtask, *_near(seen, state, about))
    return gathered


def _states(
    network: CIML,
    inputs: Mapping[str, Tensor],
    tile: int,
    plan: InferencePlan,
    kept: InferenceCache,
) -> dict[str, ShallowState]:
    """Return the state of every segmentor that hears anybody, computed where it was not kept."""
    wanted = [subtask for subtask in plan.subtasks if plan.auxiliaries(subtask)]
    known = {subtask: kept.state(tile, subtask, plan) for subtask in wanted}
    if all(known.values()):
        return {subtask: state for subtask, state in known.items() if state}
    engine = TorchEngine(network)
    with torch.no_grad(), mixed_precision(kept.workspace.device):
        encoded = engine.encode(inputs, plan.subtasks, plan.muted, kept.messages(tile))
        return {
            subtask: state or engine.segment(subtask, encoded, plan.muted)[1]
            for subtask, state in known.items()
        }


def _near(image: Tensor, state: ShallowState, asked: _Asked) -> tuple[Tensor, ShallowState, _Asked]:
    """Cut a tile down to what the logits of the voxels asked about depend on, in the last level.

    Exact, for its norms are held: it sees three voxels of P/2 around.
    """
    anywhere = torch.stack([weight > 0 for _, weight in asked.values()]).any(dim=0)
    half, whole = [], []
    for axis in range(3):
        found = anywhere.any(dim=[a for a in range(3) if a != axis]).nonzero()
        first = max(0, int(found.min()) // 2 - _AROUND)
        last = min(anywhere.shape[axis] // 2, int(found.max()) // 2 + _AROUND + 1)
        half.append(slice(first, last))
        whole.append(slice(2 * first, 2 * last))
    kappas = {name: _cut(kappa, half) for name, kappa in state.kappas.items()}
    few = {pair: (channel, _cut(weight, whole)) for pair, (channel, weight) in asked.items()}
    near = ShallowState(_cut(state.own, half), _cut(state.deep, half), kappas, state.statistics)
    return _cut(image, whole), near, few


def _cut(values: Tensor, where: list[slice]) -> Tensor:
    z, y, x = where
    return values[..., z, y, x]


def _add_gradients(
    gathered: _Gathered,
    network: CIML,
    subtask: str,
    image: Tensor,
    state: ShallowState,
    asked: _Asked,
) -> None:
    """Add one tile's gradients of each pair's y; ``asked`` says its channel and which voxels."""
    encoder, segmentor = cast("Encoder", network.encoders[subtask]), network.segmentor(subtask)
    with mixed_precision(image.device):
        with torch.no_grad():
            heard = segmentor.shallow_gate().aligned(state.own, state.kappas)
        with torch.enable_grad():
            heard.requires_grad_()
            logits = run_last_level(encoder, segmentor, image, state, heard)[0].float()
            ys = [(logits[channel] * weight).sum() for channel, weight in asked.values()]
    for done, (pair, y) in enumerate(zip(asked, ys, strict=True), start=1):
        (gradient,) = torch.autograd.grad(y, heard, retain_graph=done < len(asked))
        total = gradient[0].sum(dim=(1, 2, 3), dtype=torch.float32).cpu()
        gathered.gradients[pair] = gathered.gradients.get(pair, 0) + total


def _alphas(
    network: CIML, gathered: _Gathered, plan: InferencePlan, count: float
) -> dict[Triple, Tensor]:
    """Compute alpha of eq. 15, (C,), for every pair and every auxiliary it hears."""
    none = torch.zeros(network.settings.base_filters)
    alphas = {}
    for pair in plan.pairs:
        for auxiliary in plan.auxiliaries(pair.primary):
            gate = network.segmentor(pair.primary).shallow_gate()
            summed = gathered.gradients.get(pair, none)
            alphas[pair, auxiliary] = gate.backproject_gradient(auxiliary, summed) / count
    return alphas


def _assemble(
    gathered: _Gathered,
    alphas: Mapping[Triple, Tensor],
    share: list[Tensor],
    shape: tuple[int, ...],
    workspace: Runtime,
    monitor: ProgressMonitor,
) -> dict[Triple, np.ndarray]:
    """Blend the tiles where the kappas lie, at half resolution; then one interpolation a map."""
    maps = {}
    inside = tuple(slice(edge) for edge in shape)
    halves = [[slice(s.start // 2, s.stop // 2) for s in w] for w in workspace.tiling.slices()]
    shares = [blend[::2, ::2, ::2] for blend in share]
    for done, ((pair, auxiliary), alpha) in enumerate(alphas.items()):
        monitor.step("Assembling maps", done, len(alphas))
        half = torch.zeros([edge // 2 for edge in workspace.tiling.shape])
        tiles = gathered.kappas[Message(pair.primary, auxiliary)]
        for where, kappa, blend in zip(halves, tiles, shares, strict=True):
            zeta = functional.relu(torch.einsum("c,czyx->zyx", alpha, kappa.float()))
            _cut(half, where).add_(blend * zeta)
        maps[pair, auxiliary] = to_full_resolution(half)[inside].numpy()
    return maps


def to_full_resolution(zeta: Tensor) -> Tensor:
    """Bring a map from the shallowest gate's grid to the image's: (z, y, x) to (2z, 2y, 2x).

    Trilinear. A 3x3x3 convolution of stride 2 and padding 1 centres its output i on voxel 2i, so
    that is where i goes; aligning the outer corners instead would shift a map by half a voxel.
    """
    size = [2 * edge - 1 for edge in zeta.shape]
    inner = functional.interpolate(zeta[None, None], size, mode="trilinear", align_corners=True)
    return functional.pad(inner, (0, 1) * 3, mode="replicate")[0, 0]


def _blending_shares(window: Tensor, workspace: Runtime) -> list[Tensor]:
    """Return what share each tile has in each of its voxels; the shares of a voxel sum to 1."""
    total = torch.zeros(workspace.tiling.shape)
    for where in workspace.tiling.slices():
        total[where] += window
    return [window / total[where] for where in workspace.tiling.slices()]
