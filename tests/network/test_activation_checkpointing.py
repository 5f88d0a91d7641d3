"""Sparing memory changes neither a gradient nor a running statistic, and holds less."""

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from helpers.networks import BRATS, images, network
from napari_ciml.network.activation_checkpointing import enable_activation_checkpointing
from napari_ciml.network.ciml import CIML


def trained(net: CIML) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
    """Return gradients, buffers, and how many values were held for the backward pass."""
    held: dict[int, int] = {}

    def pack(values: Tensor) -> Tensor:
        held[values.untyped_storage().data_ptr()] = values.untyped_storage().nbytes()
        return values

    noise = torch.Generator().manual_seed(0)
    with saved_tensors_hooks(pack, lambda values: values):
        found = net(images(BRATS), noise=lambda like: torch.randn(like.shape, generator=noise))
        total = sum(p.logits.square().mean() + p.kl for p in found.values())
    weights = {id(p): p.untyped_storage().data_ptr() for p in net.parameters()}.values()
    size = sum(size for where, size in held.items() if where not in weights)
    total.backward()
    gradients = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    return gradients, {name: b.clone() for name, b in net.named_buffers()}, size


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_gradients_and_statistics_are_the_same_with_less_memory(norm: str) -> None:
    plain, spared = (network(norm=norm).train() for _ in range(2))
    spared.load_state_dict(plain.state_dict())
    assert enable_activation_checkpointing(spared)
    assert not enable_activation_checkpointing(spared)
    gradients, buffers, size = trained(plain)
    again, moved, less = trained(spared)
    assert gradients.keys() == again.keys()
    for name, value in gradients.items():
        torch.testing.assert_close(again[name], value, rtol=1e-5, atol=1e-7)
    for name, value in buffers.items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(moved[name], value)
    assert less < 0.55 * size
