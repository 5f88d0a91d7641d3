"""The state of a run between two epochs: one safetensors file, replaced whole."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from napari_ciml.errors import InputError
from napari_ciml.files import replacing

STATE = "state.safetensors"


def save_state(
    folder: Path,
    network: nn.Module,
    adam: torch.optim.Optimizer,
    epoch: int,
    average: AveragedModel | None = None,
) -> None:
    """Write weights, the optimiser's moments, the average and the number of epochs done.

    Raises
    ------
    InputError
        If the folder cannot be written to, or the disk is full.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
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


def load_state(
    folder: Path,
    network: nn.Module,
    adam: torch.optim.Optimizer,
    average: AveragedModel | None = None,
) -> int:
    """Put a saved state into a network, its optimiser and its average; return the epochs done.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    tensors = _read(folder)
    network.load_state_dict(_part(tensors, "network."))
    if average is not None:
        average.load_state_dict(_part(tensors, "average."))
    for name, parameter in network.named_parameters():
        adam.state[parameter] = {
            key: value.to(parameter.device) if value.ndim else value
            for key, value in _part(tensors, f"adam.{name}.").items()
        }
    return int(tensors["epoch"])


def load_result(folder: Path, network: nn.Module) -> int:
    """Put what a run has learnt, the average if it keeps one, into a network; return its epochs.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    tensors = _read(folder)
    network.load_state_dict(_part(tensors, "average.module.") or _part(tensors, "network."))
    return int(tensors["epoch"])


def _read(folder: Path) -> dict[str, Tensor]:
    path = folder / STATE
    if not path.is_file():
        raise InputError(f"{folder}: there is no run to resume; leave out --resume.")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: is damaged; start again in another folder.") from error


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
