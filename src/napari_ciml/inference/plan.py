"""Match a requested decomposition with what a checkpoint was trained for. No torch here."""

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
    """Primary-region pairs to compute, and messages that are muted.

    Parameters
    ----------
    decomposition : Decomposition
        The requested decomposition.
    pairs : tuple of Pair
        Pairs whose probabilities are computed and averaged.
    muted : frozenset of Message
        Messages that the network was trained with and does not receive.
    weights : mapping of Pair to float
        Ensemble weights other than 1.
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
            used |= {*self.decomposition.subtask(name).primary, *self.auxiliaries(name)}
        return tuple(m for m in self.decomposition.modalities if m in used)

    def weight(self, pair: Pair) -> float:
        """Return a pair's weight in its region's ensemble."""
        return self.weights.get(pair, 1.0)

    def auxiliaries(self, subtask: str) -> tuple[str, ...]:
        """Return the auxiliary modalities whose messages a subtask receives."""
        return tuple(
            aux
            for aux in self.decomposition.subtask(subtask).auxiliaries
            if Message(subtask, aux) not in self.muted
        )


def unsupported_parts(
    info: CheckpointInfo, requested: Decomposition
) -> tuple[ValidationIssue, ...]:
    """Return one issue for each part of a decomposition that a checkpoint was not trained for."""
    trained = {task.name: task for task in info.decomposition.subtasks}
    issues: list[ValidationIssue] = []
    for task in requested.subtasks:
        name = task.name
        if name not in trained:
            names = ", ".join(trained)
            text = f"{name} as primary is untrained in '{info.name}' (trained: {names})."
            issues.append(ValidationIssue(name, text))
            continue
        issues += [
            ValidationIssue(name, f"{region} from {name} is untrained in '{info.name}'.")
            for region in task.regions
            if region not in trained[name].regions
        ]
        issues += [
            ValidationIssue(name, f"{aux} assisting {name} is untrained in '{info.name}'.")
            for aux in task.auxiliaries
            if aux not in trained[name].auxiliaries
        ]
    return tuple(issues)


def reduce_to_modalities(info: CheckpointInfo, available: Collection[str]) -> Decomposition | None:
    """Return the part of a checkpoint's decomposition that the available modalities allow.

    A preset with the same modalities is preferred. None if no subtask is left.
    """
    reduced = restrict_to_modalities(
        info.decomposition, [m for m in info.decomposition.modalities if m in available]
    )
    if not reduced.subtasks or reduced.problems():
        return None
    modalities = set(reduced.input_modalities)
    presets = (preset for preset in PRESETS.values() if not unsupported_parts(info, preset))
    return next((p for p in presets if set(p.input_modalities) == modalities), reduced)


def make_plan(
    info: CheckpointInfo,
    requested: Decomposition,
    muted: Collection[Message] = (),
    weights: Mapping[Pair, float] = MappingProxyType({}),
) -> InferencePlan:
    """Return the plan of a run.

    Parameters
    ----------
    info : CheckpointInfo
        Describes the checkpoint.
    requested : Decomposition
        The requested decomposition. Messages that the checkpoint was trained with and that it
        lacks are muted; pairs that it lacks are left out of their region's ensemble.
    muted : collection of Message
        Further messages to mute.
    weights : mapping of Pair to float
        Ensemble weights, see `RunOptions`.

    Raises
    ------
    DecompositionError
        If the decomposition is inconsistent.
    CheckpointError
        If a part of it is untrained, or a muted message is not passed.
    InputError
        If a weight belongs to no pair, or those of a region are all 0.
    """
    requested.validated()
    issues = unsupported_parts(info, requested)
    if issues:
        more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
        raise CheckpointError(
            f"Decomposition '{requested.name}': {issues[0].message} Remove it, or fine-tune.{more}"
        )
    for message in muted:
        if message not in requested.messages:
            raise CheckpointError(
                f"Cannot mute {message.primary}:{message.auxiliary}: "
                f"decomposition '{requested.name}' passes no such message."
            )
    _check_weights(requested, weights)
    passed = set(requested.messages) if info.network.message else set()
    omitted = set(info.decomposition.messages) - passed
    changed = {pair: weight for pair, weight in weights.items() if weight != 1}
    return InferencePlan(requested, requested.pairs, frozenset(omitted | set(muted)), changed)


def _check_weights(requested: Decomposition, weights: Mapping[Pair, float]) -> None:
    for pair in weights:
        if pair not in requested.pairs:
            raise InputError(
                f"Cannot weigh {pair.region} from {pair.primary}: "
                f"decomposition '{requested.name}' has no such pair."
            )
    for name in requested.region_names:
        if not any(weights.get(pair, 1) for pair in requested.pairs if pair.region == name):
            raise InputError(f"Every pair that predicts {name} has weight 0; leave one in.")
