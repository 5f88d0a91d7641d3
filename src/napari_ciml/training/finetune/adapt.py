"""What a fine-tune begins with, which of its parameters learn, and how."""

from torch import nn

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import InputError
from napari_ciml.inference.plan import unsupported_parts
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.network.transfer import TransferredNetwork, transfer
from napari_ciml.training.settings import FineTuneSettings, TrainSettings


def initial_network(checkpoint: Checkpoint, wanted: Decomposition) -> TransferredNetwork:
    """Return the network that learns; the checkpoint's own is left as it is.

    If the checkpoint can do all that is wanted, it is all of its network: what a case lacks is
    muted, and the version can do what the checkpoint could. Carried over to fewer messages, gates
    would have to learn their attention anew. If something is new, it is the network of what is
    wanted, with the weights that fit.

    Raises
    ------
    DecompositionError
        If a modality has a name that PyTorch keeps for itself.
    """
    known = checkpoint.info.decomposition
    labels = {region.name: set(region.labels) for region in known.regions}
    same = all(labels.get(region.name) == set(region.labels) for region in wanted.regions)
    serves = same and not unsupported_parts(checkpoint.info, wanted)
    return transfer(checkpoint.network, known if serves else wanted)


def choose_parameters(begun: TransferredNetwork, settings: FineTuneSettings) -> None:
    """Let only those parameters learn that are to be adapted.

    Raises
    ------
    InputError
        If there are none.
    """
    network: nn.Module = begun.network
    fresh = begun.randomly_initialised | {
        name
        for pair in begun.untrained
        for name, _ in network.named_parameters()
        if name.startswith(f"segmentors.{pair.primary}.output.")
    }
    chosen = {
        "all": lambda _: True,
        "decoders": lambda name: name.startswith("segmentors.") or name in fresh,
        "new": lambda name: name in fresh,
    }[settings.trainable]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(chosen(name))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError("Nothing in this decomposition is new; adapt the decoders, or all.")


def training_settings(
    info: CheckpointInfo,
    wanted: Decomposition,
    settings: FineTuneSettings,
    patch: tuple[int, int, int],
) -> TrainSettings:
    """Return how a training step of a fine-tune is done.

    Parameters
    ----------
    info : CheckpointInfo
        Of the network that learns.
    wanted : Decomposition
        What it is to segment.
    settings : FineTuneSettings
        As the user has them.
    patch : tuple of int
        (Z, Y, X) in voxels, as memory allows.
    """
    return TrainSettings(
        decomposition=wanted,
        network=info.network,
        normalisation=info.normalisation,
        spacing=info.spacing,
        patch=patch,
        learning_rate=settings.learning_rate,
        beta=settings.beta,
        foreground_share=0.67,
        seed=settings.seed,
    )
