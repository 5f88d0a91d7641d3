"""A wider network that begins with what a narrower one has learnt."""

import pytest
import torch
from torch import nn

from helpers.networks import BRATS, MIXED, images, network
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.network.ciml import CIML
from napari_ciml.network.settings import NetworkSettings
from napari_ciml.network.widen import can_widen, widen_state_dict


def wide_of(narrow: CIML, unlike: float, seed: int = 0) -> CIML:
    settings = narrow.settings.model_copy(update={"base_filters": 6})
    wide = CIML(narrow.decomposition, settings)
    drawn = torch.Generator().manual_seed(seed)
    wide.load_state_dict(widen_state_dict(narrow, wide, unlike, drawn))
    return wide


@pytest.mark.parametrize("unlike", [0.0, 0.25])
@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("whole", [BRATS, MIXED])
def test_a_widened_network_answers_as_the_narrow_one(
    whole: Decomposition, norm: str, unlike: float
) -> None:
    narrow = network(whole, norm=norm)
    with torch.no_grad():
        narrow(images(whole, batch=2))
        wide = wide_of(narrow, unlike)
        before, after = narrow.eval()(images(whole)), wide.eval()(images(whole))
    for name, found in before.items():
        assert after[name].logits.std() > 0
        torch.testing.assert_close(after[name].logits, found.logits, rtol=1e-3, atol=1e-3)


def test_copies_learn_something_else_only_if_they_are_unlike() -> None:
    narrow = network(norm="instance")
    for unlike, alike in ((0.0, True), (0.25, False)):
        wide = wide_of(narrow, unlike)
        sum(found.logits.square().mean() for found in wide(images(BRATS)).values()).backward()
        first = next(m for m in wide.encoders["FLAIR"].modules() if isinstance(m, nn.Conv3d))
        grads = first.weight.grad
        assert grads is not None
        near = torch.isclose(grads[0], grads[1], rtol=1e-2, atol=1e-2 * float(grads.abs().max()))
        assert bool(near.all()) is alike


def test_the_shares_are_drawn_by_seed() -> None:
    narrow = network()
    one, same, other = (wide_of(narrow, 0.25, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert any(not torch.equal(value, other[name]) for name, value in one.items())


def test_what_can_be_widened() -> None:
    narrow = NetworkSettings(base_filters=4)
    assert can_widen(narrow, narrow)
    assert can_widen(narrow, NetworkSettings(base_filters=12))
    assert not can_widen(narrow, NetworkSettings(base_filters=6))
    assert not can_widen(narrow, NetworkSettings(base_filters=2))
    assert not can_widen(narrow, NetworkSettings(base_filters=8, norm="instance"))
