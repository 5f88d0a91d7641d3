"""The receptive field against gradients: which voxels really change a logit."""

import pytest
import torch

from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.network.ciml import CIML
from napari_ciml.network.receptive_field import receptive_field_radius
from napari_ciml.network.settings import NetworkSettings

TWO = PRESETS["flair-t1ce"]


@pytest.mark.parametrize(
    ("parts", "voxels"),
    [
        ({}, 77),
        ({"attention": False}, 61),
        ({"variational": False}, 77),
        ({"attention": False, "variational": False}, 77),
        ({"message": False}, 61),
    ],
)
def test_gradients_reach_as_far_as_is_said_and_no_further(
    parts: dict[str, bool], voxels: int
) -> None:
    """Along an axis, from every place in the grid of the deepest level."""
    settings = NetworkSettings(base_filters=2, norm="batch", **parts)
    assert receptive_field_radius(settings) == voxels
    torch.manual_seed(0)
    network = CIML(TWO, settings).double().eval()
    images = {
        m: torch.randn(1, 1, 16, 16, 208, dtype=torch.float64, requires_grad=True)
        for m in TWO.input_modalities
    }
    logits = torch.cat([found.logits for found in network(images).values()], dim=1)
    behind, before = 0, 0
    for centre in range(96, 112):
        asked = logits[..., centre].square().sum()
        gradients = torch.autograd.grad(asked, list(images.values()), retain_graph=True)
        touched = sum(g.abs().sum(dim=(0, 1, 2, 3)) for g in gradients).nonzero().flatten()
        before = max(before, centre - int(touched.min()))
        behind = max(behind, int(touched.max()) - centre)
    assert max(before, behind) == voxels
    assert min(before, behind) >= voxels - 16
