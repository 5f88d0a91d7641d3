"""The predictor's last level with its norms held, against the segmentor itself."""

import pytest
import torch
from torch import Tensor

from helpers.networks import images, settled
from napari_ciml.network.last_level import (
    ShallowState,
    last_blocks,
    record_norm_statistics,
    run_last_level,
)
from napari_ciml.network.segmentor import Segmentor


def state_of(
    norm: str, subtask: str = "T2"
) -> tuple[torch.nn.Module, Segmentor, Tensor, ShallowState, Tensor]:
    net = settled(norm).requires_grad_(requires_grad=False)
    for layer in net.modules():
        if isinstance(layer, torch.nn.InstanceNorm3d | torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(layer.weight, 0.5, 2)
            torch.nn.init.uniform_(layer.bias, -1, 1)
    seen = images(net.decomposition)
    encoder, segmentor = net.encoders[subtask], net.segmentor(subtask)
    blocks = last_blocks(encoder, segmentor)
    with torch.no_grad(), record_norm_statistics(blocks) as found:
        encoded = net.encode(seen)
        filtered = segmentor.filter(encoded[subtask], net.incoming_messages(subtask, encoded))
        logits = segmentor.predict(filtered)
    statistics = tuple(found[block] for block in blocks if block in found)
    state = ShallowState(encoded[subtask].levels[0], filtered.deep, filtered.kappas, statistics)
    return encoder, segmentor, seen[subtask], state, logits


@pytest.mark.parametrize(("norm", "counted"), [("instance", 4), ("batch", 0)])
def test_logits_are_those_of_the_segmentor(norm: str, counted: int) -> None:
    encoder, segmentor, image, state, expected = state_of(norm)
    heard = segmentor.shallow_gate().aligned_sum(state.own, state.kappas)
    assert len(state.statistics) == counted
    with torch.no_grad():
        logits = run_last_level(encoder, segmentor, image, state, heard)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert not any(layer._forward_pre_hooks for layer in segmentor.modules())


def test_a_part_has_the_statistics_of_the_whole() -> None:
    """Three voxels of P/2 away from the cut, nothing of it is seen."""
    encoder, segmentor, image, state, expected = state_of("instance")
    heard = segmentor.shallow_gate().aligned_sum(state.own, state.kappas)
    half, whole = (..., slice(2, 12)), (..., slice(4, 24))
    part = ShallowState(state.own[half], state.deep[half], {}, state.statistics)
    with torch.no_grad():
        logits = run_last_level(encoder, segmentor, image[whole], part, heard[half])
    inside = slice(6, -6)
    torch.testing.assert_close(
        logits[..., inside], expected[..., 4:24][..., inside], atol=1e-4, rtol=1e-4
    )


def test_statistics_are_held_in_gradients() -> None:
    """Through live ones a shift of a whole channel is taken back; held ones let it through."""
    encoder, segmentor, image, state, _ = state_of("instance")
    heard = segmentor.shallow_gate().aligned_sum(state.own, state.kappas).double()
    state = ShallowState(
        *(t.double() for t in state[:2]), {}, tuple((m.double(), v.double()) for m, v in state[3])
    )
    parts = encoder.double(), segmentor.double(), image.double()
    heard.requires_grad_()
    y = run_last_level(*parts, state, heard).sum()
    (gradient,) = torch.autograd.grad(y, heard)
    step = torch.zeros_like(heard)
    step[:, 1] = 1e-6
    with torch.no_grad():
        up, down = (run_last_level(*parts, state, heard + s * step).sum() for s in (1, -1))
    by_hand = float(up - down) / 2e-6
    assert float(gradient[:, 1].sum()) == pytest.approx(by_hand, rel=1e-3)
    assert abs(by_hand) > 1
