"""Training state in a safetensors file, replaced atomically."""

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
    progress: Mapping[str, float],
    average: AveragedModel | None = None,
) -> None:
    """Write weights, Adam's moments, the moving average of the weights and the progress.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the state file.
    network : torch.nn.Module
        Network under training.
    adam : torch.optim.Optimizer
        Its optimiser.
    progress : mapping of str to float
        Numbers that say how far the training is, such as epochs or steps.
    average : AveragedModel, optional
        Moving average of the weights.

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
    tensors |= {f"progress.{name}": torch.tensor(float(n)) for name, n in progress.items()}
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
    """Load a saved state into a network, its optimiser and its average; return the progress.

    Raises
    ------
    InputError
        If there is no state, or it is damaged.
    """
    tensors = _read(folder)
    network.load_state_dict(_subset(tensors, "network."))
    if average is not None:
        average.load_state_dict(_subset(tensors, "average."))
    for name, parameter in network.named_parameters():
        adam.state[parameter] = {
            key: value.to(parameter.device) if value.ndim else value
            for key, value in _subset(tensors, f"adam.{name}.").items()
        }
    return _progress(tensors)


def load_result(folder: Path, network: nn.Module) -> dict[str, float]:
    """Load the trained weights, averaged if an average was kept; return the progress.

    Raises
    ------
    InputError
        If there is no state, or it is damaged.
    """
    tensors = _read(folder)
    network.load_state_dict(_subset(tensors, "average.module.") or _subset(tensors, "network."))
    return _progress(tensors)


def read_progress(folder: Path) -> dict[str, float]:
    """Return the progress of a saved state.

    Raises
    ------
    InputError
        If there is no state, or it is damaged.
    """
    return _progress(_read(folder))


def _read(folder: Path) -> dict[str, Tensor]:
    path = folder / STATE
    if not path.is_file():
        raise InputError(f"{folder}: there is no run to resume; leave out --resume.")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: is damaged; start again in another folder.") from error


def _progress(tensors: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in _subset(tensors, "progress.").items()}


def _subset(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
