"""The state of a run between two epochs: one safetensors file, replaced whole."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from napari_ciml.errors import InputError
from napari_ciml.files import atomic_write

STATE = "state.safetensors"


def save_state(
    folder: Path,
    network: nn.Module,
    adam: torch.optim.Optimizer,
    done: Mapping[str, float],
    average: AveragedModel | None = None,
) -> None:
    """Write weights, the optimiser's moments, the average and how much is done.

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
    tensors |= {f"done.{name}": torch.tensor(float(value)) for name, value in done.items()}
    with atomic_write(folder / STATE) as temporary:
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
) -> dict[str, float]:
    """Put a saved state into a network, its optimiser and its average; return how much is done.

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
    return _done(tensors)


def load_result(folder: Path, network: nn.Module) -> dict[str, float]:
    """Put what was learnt, the average if one is kept, into a network; return how much is done.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    tensors = _read(folder)
    network.load_state_dict(_part(tensors, "average.module.") or _part(tensors, "network."))
    return _done(tensors)


def read_progress(folder: Path) -> dict[str, float]:
    """Return how much is done.

    Raises
    ------
    InputError
        If there is no state, or it is damaged.
    """
    return _done(_read(folder))


def _read(folder: Path) -> dict[str, Tensor]:
    path = folder / STATE
    if not path.is_file():
        raise InputError(f"{folder}: there is no run to resume; leave out --resume.")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: is damaged; start again in another folder.") from error


def _done(tensors: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in _part(tensors, "done.").items()}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
