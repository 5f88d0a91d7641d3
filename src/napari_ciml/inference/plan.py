"""What a checkpoint can do of what is asked; no torch here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from napari_ciml.decomposition.edits import restrict_to_modalities
from napari_ciml.decomposition.model import Decomposition, Message, Pair, ValidationIssue
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CheckpointError, InputError
from napari_ciml.network.checkpoint_info import CheckpointInfo


@dataclass(frozen=True)
class InferencePlan:
    """What is computed: the primary-region pairs, with the messages that are muted.

    Parameters
    ----------
    decomposition : Decomposition
        What was asked for.
    pairs : tuple of Pair
        Whose probabilities are computed and averaged.
    muted : frozenset of Message
        Messages the network knows and does not get.
    weights : mapping of Pair to float
        Weights in the regions' ensembles that are not 1.
    """

    decomposition: Decomposition
    pairs: tuple[Pair, ...]
    muted: frozenset[Message]
    weights: Mapping[Pair, float] = field(default_factory=dict)

    @property
    def subtasks(self) -> tuple[str, ...]:
        """Names of the subtasks that are run."""
        return tuple(dict.fromkeys(pair.primary for pair in self.pairs))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities that are needed, in display order."""
        used: set[str] = set()
        for name in self.subtasks:
            task = self.decomposition.subtask(name)
            used |= set(task.primary) | {
                aux for aux in task.auxiliaries if Message(name, aux) not in self.muted
            }
        return tuple(m for m in self.decomposition.modalities if m in used)

    def weight(self, pair: Pair) -> float:
        """Return a pair's weight in its region's ensemble."""
        return self.weights.get(pair, 1.0)

    def auxiliaries(self, subtask: str) -> tuple[str, ...]:
        """Auxiliary modalities whose messages the subtask hears."""
        return tuple(
            aux
            for aux in self.decomposition.subtask(subtask).auxiliaries
            if Message(subtask, aux) not in self.muted
        )


def unsupported_parts(info: CheckpointInfo, wanted: Decomposition) -> tuple[ValidationIssue, ...]:
    """List the parts of a decomposition that a checkpoint was not trained for."""
    trained = {task.name: task for task in info.decomposition.subtasks}
    found: list[ValidationIssue] = []
    for task in wanted.subtasks:
        name = task.name
        if name not in trained:
            known = ", ".join(trained)
            found.append(
                ValidationIssue(
                    name, f"{name} as primary is untrained in '{info.name}' (trained: {known})."
                )
            )
            continue
        found += [
            ValidationIssue(name, f"{region} from {name} is untrained in '{info.name}'.")
            for region in task.regions
            if region not in trained[name].regions
        ]
        found += [
            ValidationIssue(name, f"{aux} assisting {name} is untrained in '{info.name}'.")
            for aux in task.auxiliaries
            if aux not in trained[name].auxiliaries
        ]
    return tuple(found)


def reduce_to_modalities(info: CheckpointInfo, there: Collection[str]) -> Decomposition | None:
    """Return what a checkpoint can do without the modalities a case lacks: a preset, if one is.

    None if there is nothing it can do.
    """
    kept = restrict_to_modalities(
        info.decomposition, [m for m in info.decomposition.modalities if m in there]
    )
    if not kept.subtasks or kept.problems():
        return None
    presets = (preset for preset in PRESETS.values() if not unsupported_parts(info, preset))
    return next((p for p in presets if set(p.input_modalities) == set(kept.input_modalities)), kept)


def make_plan(
    info: CheckpointInfo,
    wanted: Decomposition,
    muted: Collection[Message] = (),
    weights: Mapping[Pair, float] = MappingProxyType({}),
) -> InferencePlan:
    """Work out what to compute.

    Parameters
    ----------
    info : CheckpointInfo
        What the checkpoint was trained for.
    wanted : Decomposition
        What is asked for. Auxiliaries that it lacks and the checkpoint has are muted, pairs that
        it lacks are left out of their region's ensemble.
    muted : collection of Message
        Messages to mute besides.
    weights : mapping of Pair to float
        As in `SegmentSettings`.

    Raises
    ------
    DecompositionError
        If the decomposition contradicts itself.
    CheckpointError
        If something asked for is untrained, or a message to mute is not passed.
    InputError
        If a weight belongs to no pair, or those of a region are all 0.
    """
    wanted.validated()
    problems = unsupported_parts(info, wanted)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CheckpointError(
            f"Decomposition '{wanted.name}': {problems[0].message} Take it out, or fine-tune.{more}"
        )
    for message in muted:
        if message not in wanted.messages:
            raise CheckpointError(
                f"Cannot mute {message.primary}:{message.auxiliary}: "
                f"decomposition '{wanted.name}' passes no such message."
            )
    _refuse_weights(wanted, weights)
    heard = set(wanted.messages) if info.network.message else set()
    unheard = set(info.decomposition.messages) - heard
    uneven = {pair: weight for pair, weight in weights.items() if weight != 1}
    return InferencePlan(wanted, wanted.pairs, frozenset(unheard | set(muted)), uneven)


def _refuse_weights(wanted: Decomposition, weights: Mapping[Pair, float]) -> None:
    for pair in weights:
        if pair not in wanted.pairs:
            raise InputError(
                f"Cannot weigh {pair.region} from {pair.primary}: "
                f"decomposition '{wanted.name}' has no such pair."
            )
    for name in wanted.region_names:
        if not any(weights.get(pair, 1) for pair in wanted.pairs if pair.region == name):
            raise InputError(f"Every pair that predicts {name} has weight 0; leave one in.")
