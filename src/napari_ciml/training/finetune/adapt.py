"""Initial network, trainable parameters and training settings of a fine-tune."""

from torch import nn

from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import InputError
from napari_ciml.inference.plan import unsupported_parts
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.network.transfer import TransferredNetwork, transfer
from napari_ciml.training.settings import FineTuneSettings, TrainSettings, default_normalisation


def model_space_for(info: CheckpointInfo, decomposition: Decomposition) -> CheckpointInfo:
    """Return a checkpoint's info with another decomposition.

    Modalities that the checkpoint does not know get their default normalisation.
    """
    normalisation = default_normalisation(decomposition.input_modalities) | info.normalisation
    return info.model_copy(update={"decomposition": decomposition, "normalisation": normalisation})


def initial_network(checkpoint: Checkpoint, target: Decomposition) -> TransferredNetwork:
    """Return a copy of the checkpoint's network that supports the target decomposition.

    If the checkpoint supports the whole target, all of its network is copied, and messages that the
    target lacks are muted: the new version can then do everything that the old one could, and gates
    need not learn their attention again for fewer messages. Otherwise the network is built for the
    target, with the checkpoint's weights wherever they fit (`transfer`).

    Raises
    ------
    DecompositionError
        If the name of a modality is reserved by PyTorch.
    """
    source = checkpoint.info.decomposition
    labels = {region.name: set(region.labels) for region in source.regions}
    same_labels = all(labels.get(region.name) == set(region.labels) for region in target.regions)
    is_supported = same_labels and not unsupported_parts(checkpoint.info, target)
    return transfer(checkpoint.network, source if is_supported else target)


def choose_parameters(transferred: TransferredNetwork, settings: FineTuneSettings) -> None:
    """Freeze every parameter that ``settings.trainable`` does not name.

    Raises
    ------
    InputError
        If no parameter is left to train.
    """
    network: nn.Module = transferred.network
    new = transferred.randomly_initialised | {
        name
        for pair in transferred.untrained
        for name, _ in network.named_parameters()
        if name.startswith(f"segmentors.{pair.primary}.output.")
    }
    is_trainable = {
        "all": lambda _: True,
        "decoders": lambda name: name.startswith("segmentors.") or name in new,
        "new": lambda name: name in new,
    }[settings.trainable]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(is_trainable(name))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError("Nothing in this decomposition is new; train the decoders, or all.")


def training_settings(
    info: CheckpointInfo,
    target: Decomposition,
    settings: FineTuneSettings,
    patch: tuple[int, int, int],
) -> TrainSettings:
    """Return the settings of the optimiser steps of a fine-tune.

    Parameters
    ----------
    info : CheckpointInfo
        Info of the network that is trained.
    target : Decomposition
        Decomposition that the loss is computed for.
    settings : FineTuneSettings
        Settings of the fine-tune.
    patch : tuple of int
        Patch size, (Z, Y, X) in voxels.
    """
    return TrainSettings(
        decomposition=target,
        network=info.network,
        normalisation=info.normalisation,
        spacing=info.spacing,
        patch=patch,
        learning_rate=settings.learning_rate,
        beta=settings.beta,
        foreground_fraction=0.67,
        seed=settings.seed,
    )
