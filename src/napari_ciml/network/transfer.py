"""Weights carried over to another decomposition, by modality and region, wherever they fit."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from napari_ciml.decomposition.model import Decomposition, Pair, Region
from napari_ciml.network.ciml import CIML
from napari_ciml.network.segmentor import Segmentor


@dataclass(frozen=True)
class TransferredNetwork:
    """A network for another decomposition, and what in it has learnt nothing yet.

    Parameters
    ----------
    network : CIML
        With the old network's weights wherever they fit.
    fresh : frozenset of str
        Names of the parameters that were drawn at random, at least in part.
    untrained : tuple of Pair
        Pairs that the old network did not predict.
    """

    network: CIML
    randomly_initialised: frozenset[str]
    untrained: tuple[Pair, ...]


def transfer(old: CIML, wanted: Decomposition) -> TransferredNetwork:
    """Build the network of a decomposition from another one's weights.

    An encoder is carried over if the old network has one of the same modalities, whatever it was
    called there; a segmentor if there was one of the same primaries. In it, what belongs to an
    auxiliary or to a region goes by its name. A segmentor of new primaries begins as a copy of one
    that shares most regions with it. The attention of a gate whose number of messages changed is
    new. A region that nobody predicted begins with the output of the region that it lies in.

    Parameters
    ----------
    old : CIML
        The trained network; left as it is.
    wanted : Decomposition
        A checked one.

    Raises
    ------
    DecompositionError
        If a modality has a name that PyTorch keeps for itself.
    """
    network = CIML(wanted, old.settings).to(next(old.parameters()).device)
    fresh: set[str] = set()
    for name, modalities in network.inputs.items():
        source = _encoder_of(old, modalities)
        fresh |= _copied(network.encoders[name], source, f"encoders.{name}.")
    for task in wanted.subtasks:
        new = network.segmentor(task.name)
        known = _closest(old, wanted, task.name)
        fresh |= _copied(new, known, f"segmentors.{task.name}.", skip="output.")
        _copy_outputs(new, known, wanted, task.name, old)
    before = set(old.decomposition.pairs)
    untrained = tuple(pair for pair in wanted.pairs if pair not in before)
    return TransferredNetwork(network, frozenset(fresh), untrained)


def _encoder_of(old: CIML, modalities: tuple[str, ...]) -> nn.Module | None:
    return next((old.encoders[name] for name, ms in old.inputs.items() if ms == modalities), None)


def _closest(old: CIML, wanted: Decomposition, subtask: str) -> Segmentor | None:
    """Return the old segmentor of the same primaries, else the one with most regions in common."""
    tasks = {task.name: task for task in old.decomposition.subtasks}
    if subtask in tasks:
        return old.segmentor(subtask)
    regions = set(wanted.subtask(subtask).regions)
    if not tasks:
        return None
    return old.segmentor(max(tasks, key=lambda name: len(regions & set(tasks[name].regions))))


def _copied(new: nn.Module, old: nn.Module | None, prefix: str, skip: str = "-") -> set[str]:
    """Copy every tensor of the same name and shape; return the names of the others."""
    source = {} if old is None else old.state_dict()
    fresh = set()
    with torch.no_grad():
        for name, value in _tensors(new):
            if name.startswith(skip):
                continue
            if name in source and source[name].shape == value.shape:
                value.copy_(source[name])
            elif value.is_floating_point():
                fresh.add(prefix + name)
    return fresh


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _copy_outputs(
    new: Segmentor, old: Segmentor | None, wanted: Decomposition, subtask: str, network: CIML
) -> None:
    """Copy the output of each region, or of the smallest old region that holds all its labels."""
    if old is None:
        return
    whole = network.decomposition
    source = next(task for task in whole.subtasks if network.segmentor(task.name) is old)
    with torch.no_grad():
        for k, name in enumerate(wanted.subtask(subtask).regions):
            begun = _begun_as(wanted.region(name), [whole.region(r) for r in source.regions])
            if begun is not None:
                j = source.regions.index(begun)
                for mine, theirs in zip(
                    new.output.parameters(), old.output.parameters(), strict=True
                ):
                    mine[k].copy_(theirs[j])


def _begun_as(region: Region, known: list[Region]) -> str | None:
    """Return the region of the same name, else the smallest that holds all its labels, or None."""
    around = [other for other in known if set(region.labels) <= set(other.labels)]
    by_name = [other for other in known if other.name == region.name]
    chosen = by_name or sorted(around, key=lambda other: len(other.labels))
    return chosen[0].name if chosen else None
