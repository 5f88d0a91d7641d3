"""Read and write checkpoint files; names and shapes are checked before weights are loaded."""

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from napari_ciml.errors import CheckpointError
from napari_ciml.files import atomic_write
from napari_ciml.network.checkpoint_info import (
    METADATA_KEY,
    CheckpointInfo,
    file_hash,
    read_info,
)
from napari_ciml.network.ciml import CIML


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    info : CheckpointInfo
        Metadata of the checkpoint.
    sha256 : str
        SHA-256 of the file, in hexadecimal.
    network : CIML
        In evaluation mode, float32, on the CPU, without gradients.
    """

    path: Path
    info: CheckpointInfo
    sha256: str
    network: CIML


def save_checkpoint(
    path: Path, network: CIML, info: CheckpointInfo, dtype: torch.dtype = torch.float32
) -> None:
    """Write a checkpoint atomically.

    Parameters
    ----------
    path : pathlib.Path
        Path that ends in ``.safetensors``.
    network : CIML
        Network whose weights are written.
    info : CheckpointInfo
        Metadata, stored in the header of the file.
    dtype : torch.dtype
        Type of the stored floating-point tensors; ``torch.float16`` halves the file.

    Raises
    ------
    InputError
        If the folder cannot be written to, or the disk is full.
    """
    tensors = {
        name: (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    with atomic_write(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={METADATA_KEY: info.model_dump_json()})
        except SafetensorError as error:
            raise OSError(str(error)) from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    CheckpointError
        As `read_info`; also if names or shapes of the weights differ from those of the network
        that the metadata describe, or if a weight is not a finite number.
    """
    info = read_info(path)
    with torch.device("meta"):
        network = CIML(info.decomposition, info.network)
    expected = network.state_dict()
    with safe_open(path, framework="pt") as file:
        shapes = {
            name: tuple(file.get_slice(name).get_shape())
            for name in file.keys()  # noqa: SIM118
        }
        _check_shapes(path, shapes, {name: tuple(t.shape) for name, t in expected.items()})
        state = {name: file.get_tensor(name).to(expected[name].dtype) for name in shapes}
    _require_finite(path, state)
    network.load_state_dict(state, assign=True)
    network.eval().requires_grad_(requires_grad=False)
    return Checkpoint(path, info, file_hash(path), network)


def stored_dtype(path: Path) -> torch.dtype:
    """Return the smallest floating-point type of a checkpoint file's tensors."""
    with safe_open(path, framework="pt") as file:
        dtypes = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    return min((d for d in dtypes if d.is_floating_point), key=lambda d: d.itemsize)


def _require_finite(path: Path, state: dict[str, torch.Tensor]) -> None:
    broken = [name for name, value in state.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise CheckpointError(
            f"{path}: {len(broken)} weights (first: {broken[0]}) hold values that are not finite "
            "numbers; get the file again, or train again with a lower learning rate."
        )


def _check_shapes(
    path: Path, shapes: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]
) -> None:
    names = shapes.keys() | expected.keys()
    mismatches = sorted(name for name in names if shapes.get(name) != expected.get(name))
    if mismatches:
        raise CheckpointError(
            f"{path}: {len(mismatches)} weights (first: {mismatches[0]}) do not match the network "
            "that it describes; get the file again."
        )
