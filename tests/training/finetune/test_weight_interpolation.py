"""Versions lie between the old weights and the learnt ones."""

import torch
from torch import Tensor

from napari_ciml.decomposition.model import Decomposition, Region
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.network.transfer import TransferredNetwork, transfer
from napari_ciml.training.finetune.weight_interpolation import interpolate_weights

WHOLE = PRESETS["autopet"]


def learnt(
    blind: Checkpoint, wanted: Decomposition
) -> tuple[TransferredNetwork, dict[str, Tensor]]:
    """Return a network whose weights all moved by one, and those it began with."""
    begun = transfer(blind.network, wanted)
    first = {name: value.clone() for name, value in begun.network.state_dict().items()}
    with torch.no_grad():
        for parameter in begun.network.parameters():
            parameter += 1.0
    return begun, first


def test_a_quarter_of_the_way(blind: Checkpoint) -> None:
    begun, first = learnt(blind, WHOLE)
    state = interpolate_weights(begun, first, 0.25).state_dict()
    for name, _ in begun.network.named_parameters():
        torch.testing.assert_close(state[name], first[name] + 0.25)
    # What goes on learning is not touched.
    for name, value in begun.network.named_parameters():
        torch.testing.assert_close(value, first[name] + 1)


def test_what_is_new_goes_all_the_way(blind: Checkpoint) -> None:
    alone = (WHOLE.subtasks[0].model_copy(update={"auxiliaries": ()}), WHOLE.subtasks[1])
    old = transfer(blind.network, WHOLE.model_copy(update={"subtasks": alone})).network
    begun, first = learnt(Checkpoint(blind.path, blind.info, "", old), WHOLE)
    assert begun.randomly_initialised
    assert not begun.untrained
    state = interpolate_weights(begun, first, 0.5).state_dict()
    for name, _ in begun.network.named_parameters():
        torch.testing.assert_close(
            state[name], first[name] + (1 if name in begun.randomly_initialised else 0.5)
        )


def test_with_a_region_nobody_predicted_everything_does(blind: Checkpoint) -> None:
    core = Region(name="core", labels=(2,), colour="#0000ff")
    tasks = tuple(
        task.model_copy(update={"regions": ("lesion", "core")}) for task in WHOLE.subtasks
    )
    more = WHOLE.model_copy(update={"regions": (*WHOLE.regions, core), "subtasks": tasks})
    begun, first = learnt(blind, more.validated())
    state = interpolate_weights(begun, first, 0.5).state_dict()
    for name, value in begun.network.state_dict().items():
        torch.testing.assert_close(state[name], value)
