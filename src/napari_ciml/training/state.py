"""The state of a run between two epochs: one safetensors file, replaced whole."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from napari_ciml.errors import InputError
from napari_ciml.files import replacing

STATE = "state.safetensors"


def save_state(folder: Path, network: nn.Module, adam: torch.optim.Optimizer, epoch: int) -> None:
    """Write weights, the optimiser's moments and the number of epochs done.

    Raises
    ------
    InputError
        If the folder cannot be written to, or the disk is full.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in adam.state[parameter].items():
            tensors[f"adam.{name}.{key}"] = value
    tensors["epoch"] = torch.tensor(epoch)
    with replacing(folder / STATE) as temporary:
        try:
            # Copies, because some networks hold a tensor under two names.
            save_file({name: t.detach().clone() for name, t in tensors.items()}, temporary)
        except SafetensorError as error:
            raise OSError(str(error)) from error


def load_state(folder: Path, network: nn.Module, adam: torch.optim.Optimizer | None = None) -> int:
    """Put a saved state into a network, and into its optimiser; return the epochs done.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        raise InputError(f"{folder}: there is no run to resume; leave out --resume.")
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: is damaged; start again in another folder.") from error
    prefix = "network."
    network.load_state_dict(
        {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    )
    if adam is not None:
        for name, parameter in network.named_parameters():
            prefix = f"adam.{name}."
            adam.state[parameter] = {
                key.removeprefix(prefix): value.to(parameter.device) if value.ndim else value
                for key, value in tensors.items()
                if key.startswith(prefix)
            }
    return int(tensors["epoch"])
