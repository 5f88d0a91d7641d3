"""Which parameters a fine-tune lets learn."""

from torch import nn

from napari_ciml.errors import InputError
from napari_ciml.network.transfer import Transfer
from napari_ciml.training.settings import FineTuneSettings


def choose_parameters(begun: Transfer, settings: FineTuneSettings) -> None:
    """Let only those parameters learn that are to be adapted.

    Raises
    ------
    InputError
        If there are none.
    """
    network: nn.Module = begun.network
    fresh = begun.fresh | {
        name
        for pair in begun.untrained
        for name, _ in network.named_parameters()
        if name.startswith(f"segmentors.{pair.primary}.output.")
    }
    chosen = {
        "all": lambda _: True,
        "decoders": lambda name: name.startswith("segmentors.") or name in fresh,
        "new": lambda name: name in fresh,
    }[settings.adapt]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(chosen(name))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError("Nothing in this decomposition is new; adapt the decoders, or all.")
