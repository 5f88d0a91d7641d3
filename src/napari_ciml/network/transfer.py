"""Transfer weights to the network of another decomposition, by modality and region."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_ciml.decomposition.model import Decomposition, Pair, Region
from napari_ciml.network.ciml import CIML
from napari_ciml.network.segmentor import Segmentor


@dataclass(frozen=True)
class TransferredNetwork:
    """Network of another decomposition, and its parts without transferred weights.

    Parameters
    ----------
    network : CIML
        With the source network's weights wherever they fit.
    randomly_initialised : frozenset of str
        Names of the parameters that were initialised at random, at least in part.
    untrained : tuple of Pair
        Pairs that the source network did not predict.
    """

    network: CIML
    randomly_initialised: frozenset[str]
    untrained: tuple[Pair, ...]


def transfer(source: CIML, decomposition: Decomposition) -> TransferredNetwork:
    """Build the network of a decomposition from the weights of another network.

    An encoder is copied from one of the same modalities, whatever its name; a segmentor from one of
    the same primaries, and within it, parts of an auxiliary or a region by their name. A segmentor
    of new primaries is copied from the one that shares most regions with it. The attention of a
    gate with another number of messages is initialised at random. The output of a region that was
    not predicted is copied from the smallest region that contains it.

    Parameters
    ----------
    source : CIML
        The trained network; it is not changed.
    decomposition : Decomposition
        Decomposition of the new network, validated.

    Raises
    ------
    DecompositionError
        If the name of a modality is an attribute of PyTorch modules.
    """
    network = CIML(decomposition, source.settings).to(next(source.parameters()).device)
    random: set[str] = set()
    for name, modalities in network.inputs.items():
        encoder = _encoder_of(source, modalities)
        random |= _copy_tensors(network.encoders[name], encoder, f"encoders.{name}.")
    for task in decomposition.subtasks:
        new = network.segmentor(task.name)
        old = _closest_segmentor(source, decomposition, task.name)
        random |= _copy_tensors(new, old, f"segmentors.{task.name}.", skip="output.")
        if old is not None:
            regions = [decomposition.region(name) for name in task.regions]
            _copy_outputs(new, old, regions, _regions_of(source, old))
    predicted = set(source.decomposition.pairs)
    untrained = tuple(pair for pair in decomposition.pairs if pair not in predicted)
    return TransferredNetwork(network, frozenset(random), untrained)


def _encoder_of(network: CIML, modalities: tuple[str, ...]) -> nn.Module | None:
    names = (name for name, inputs in network.inputs.items() if inputs == modalities)
    return next((network.encoders[name] for name in names), None)


def _closest_segmentor(
    source: CIML, decomposition: Decomposition, subtask: str
) -> Segmentor | None:
    """Return the segmentor of the same primaries, else the one with most regions in common."""
    tasks = {task.name: task for task in source.decomposition.subtasks}
    if subtask in tasks:
        return source.segmentor(subtask)
    regions = set(decomposition.subtask(subtask).regions)
    if not tasks:
        return None
    return source.segmentor(max(tasks, key=lambda name: len(regions & set(tasks[name].regions))))


def _regions_of(network: CIML, segmentor: Segmentor) -> list[Region]:
    """Return the regions of a segmentor's output channels."""
    decomposition = network.decomposition
    task = next(t for t in decomposition.subtasks if network.segmentor(t.name) is segmentor)
    return [decomposition.region(name) for name in task.regions]


def _copy_tensors(new: nn.Module, old: nn.Module | None, prefix: str, skip: str = "-") -> set[str]:
    """Copy tensors of the same name and shape; return the names of the other ones.

    Parameters
    ----------
    new, old : torch.nn.Module
        Target, and source if there is one.
    prefix : str
        Prefix of the returned names.
    skip : str
        Tensors whose names start with this are left out.
    """
    source = {} if old is None else old.state_dict()
    random = set()
    with torch.no_grad():
        for name, value in _tensors(new):
            if name.startswith(skip):
                continue
            if name in source and source[name].shape == value.shape:
                value.copy_(source[name])
            elif value.is_floating_point():
                random.add(prefix + name)
    return random


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _copy_outputs(
    new: Segmentor, old: Segmentor, new_regions: list[Region], old_regions: list[Region]
) -> None:
    """Copy output channels by region, or from the smallest region that contains it."""
    tensors = list(zip(new.output.parameters(), old.output.parameters(), strict=True))
    with torch.no_grad():
        for channel, region in enumerate(new_regions):
            template = _template_region(region, old_regions)
            if template is not None:
                for target, values in tensors:
                    target[channel].copy_(values[old_regions.index(template)])


def _template_region(region: Region, candidates: list[Region]) -> Region | None:
    """Return the region of the same name, else the smallest that has all its labels, or None."""
    same = [other for other in candidates if other.name == region.name]
    containing = [other for other in candidates if set(region.labels) <= set(other.labels)]
    ordered = same or sorted(containing, key=lambda other: len(other.labels))
    return ordered[0] if ordered else None
