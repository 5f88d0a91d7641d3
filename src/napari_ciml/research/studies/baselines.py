"""MONAI networks that see all modalities at once (early fusion), for Tables 2 to 4."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from monai.networks.nets import UNETR, AttentionUnet, DynUNet, SegResNet
from torch import Tensor, cat, nn

from napari_ciml.decomposition.model import Decomposition, Message, Subtask
from napari_ciml.errors import InputError
from napari_ciml.network.gate import Noise
from napari_ciml.network.segmentor import Prediction
from napari_ciml.training.settings import TrainSettings


def early_fusion(decomposition: Decomposition) -> Decomposition:
    """Return a decomposition with one subtask: all modalities are primary for all regions."""
    task = Subtask(primary=decomposition.input_modalities, regions=decomposition.region_names)
    return decomposition.model_copy(
        update={"name": f"{decomposition.name}, early fusion", "subtasks": (task,)}
    )


class EarlyFusion(nn.Module):
    """A MONAI network with the interface of `CIML`.

    Parameters
    ----------
    network : torch.nn.Module
        Network from images (B, M, Z, Y, X) to logits (B, R, Z, Y, X).
    decomposition : Decomposition
        Decomposition with one subtask.
    """

    def __init__(self, network: nn.Module, decomposition: Decomposition) -> None:
        super().__init__()
        self.network = network
        self.decomposition = decomposition

    def forward(
        self,
        images: Mapping[str, Tensor],
        subtasks: Collection[str] | None = None,  # noqa: ARG002
        muted: Collection[Message] = (),  # noqa: ARG002
        noise: Noise | None = None,  # noqa: ARG002
    ) -> dict[str, Prediction]:
        """Predict all regions; ``muted`` and ``noise`` have no effect, as there are no messages."""
        (task,) = self.decomposition.subtasks
        return {task.name: Prediction(self.network(cat(list(images.values()), dim=1)), None)}


@dataclass(frozen=True)
class Baseline:
    """A picklable factory of one of `BASELINES`, by name."""

    name: str

    def __call__(self, settings: TrainSettings) -> EarlyFusion:
        """Return the network for these settings, with random weights."""
        decomposition = settings.decomposition
        network = BASELINES[self.name](
            len(decomposition.input_modalities),
            len(decomposition.region_names),
            settings.network.base_filters,
            settings.patch,
        )
        return EarlyFusion(network, decomposition)


def _dynunet(inputs: int, outputs: int, width: int, patch: tuple[int, int, int]) -> nn.Module:
    """Return nnU-Net's configuration: instance norm, up to 320 channels, down to 4 voxels."""
    depth = 1
    while depth < 6 and min(patch) // 2**depth >= 4:
        depth += 1
    strides = [1] + [2] * (depth - 1)
    return DynUNet(
        spatial_dims=3,
        in_channels=inputs,
        out_channels=outputs,
        kernel_size=[3] * depth,
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=[min(width * 2**k, 320) for k in range(depth)],
        norm_name=("INSTANCE", {"affine": True}),
        act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
    )


def _attention_unet(
    inputs: int, outputs: int, width: int, patch: tuple[int, int, int]
) -> nn.Module:
    depth = 5 if min(patch) >= 64 else 4
    return AttentionUnet(
        spatial_dims=3,
        in_channels=inputs,
        out_channels=outputs,
        channels=[width * 2**k for k in range(depth)],
        strides=[2] * (depth - 1),
    )


def _unetr(inputs: int, outputs: int, width: int, patch: tuple[int, int, int]) -> nn.Module:
    """Return UNETR; its embedding is proportional to the width: at 16 filters, the default 768."""
    if find_spec("einops") is None:
        raise InputError("UNETR needs einops: pip install 'napari-ciml[studies]'.")
    return UNETR(
        in_channels=inputs,
        out_channels=outputs,
        img_size=patch,
        feature_size=width,
        hidden_size=48 * width,
        mlp_dim=192 * width,
        num_heads=12,
    )


def _segresnet(
    inputs: int,
    outputs: int,
    width: int,
    patch: tuple[int, int, int],  # noqa: ARG001
) -> nn.Module:
    return SegResNet(spatial_dims=3, in_channels=inputs, out_channels=outputs, init_filters=width)


BASELINES: dict[str, Callable[[int, int, int, tuple[int, int, int]], nn.Module]] = {
    "DynUNet": _dynunet,
    "AttentionUnet": _attention_unet,
    "UNETR": _unetr,
    "SegResNet": _segresnet,
}
