"""Pure edits of a decomposition; the result may be invalid, see `Decomposition.problems`."""

from collections.abc import Collection
from itertools import combinations
from typing import Literal

from napari_ciml.decomposition.model import Decomposition, Message, Subtask

Role = Literal["primary", "auxiliary", "off"]

ROLES: tuple[Role, ...] = ("primary", "auxiliary", "off")
"""In the order in which clicks cycle through them: one click mutes an auxiliary."""


def role_of(task: Subtask, modality: str) -> Role:
    """Return the role of a modality in a subtask."""
    if modality in task.primary:
        return "primary"
    return "auxiliary" if modality in task.auxiliaries else "off"


def next_role(role: Role) -> Role:
    """Return the role that follows another one when it is clicked."""
    return ROLES[(ROLES.index(role) + 1) % len(ROLES)]


def with_role(decomposition: Decomposition, row: int, modality: str, role: Role) -> Decomposition:
    """Set the role of a modality in the subtask of a row."""
    task = decomposition.subtasks[row]
    changes = {
        "primary": _included(decomposition.modalities, task.primary, modality, role == "primary"),
        "auxiliaries": _included(
            decomposition.modalities, task.auxiliaries, modality, role == "auxiliary"
        ),
    }
    return _with_row(decomposition, row, task.model_copy(update=changes))


def with_region(
    decomposition: Decomposition, row: int, region: str, predicted: bool
) -> Decomposition:
    """Add the subtask of a row to the ensemble of a region, or remove it from there."""
    task = decomposition.subtasks[row]
    regions = _included(decomposition.region_names, task.regions, region, predicted)
    return _with_row(decomposition, row, task.model_copy(update={"regions": regions}))


def with_subtask(decomposition: Decomposition) -> Decomposition:
    """Add a subtask for the first modality that is primary nowhere; all others are auxiliary."""
    primaries = {modality for task in decomposition.subtasks for modality in task.primary}
    primary = next((m for m in decomposition.modalities if m not in primaries), None)
    task = Subtask(
        primary=(primary,) if primary else (),
        auxiliaries=tuple(m for m in decomposition.modalities if m != primary),
    )
    return _edited(decomposition, subtasks=(*decomposition.subtasks, task))


def without_subtask(decomposition: Decomposition, row: int) -> Decomposition:
    """Remove the subtask of a row."""
    return _edited(
        decomposition, subtasks=decomposition.subtasks[:row] + decomposition.subtasks[row + 1 :]
    )


def mute_messages(decomposition: Decomposition, muted: Collection[Message]) -> Decomposition:
    """Mute messages; those that the decomposition does not have are ignored."""
    for row, task in enumerate(decomposition.subtasks):
        for auxiliary in task.auxiliaries:
            if Message(task.name, auxiliary) in muted:
                decomposition = with_role(decomposition, row, auxiliary, "off")
    return decomposition


def restrict_to_modalities(
    decomposition: Decomposition, modalities: Collection[str]
) -> Decomposition:
    """Reduce a decomposition to some modalities.

    Subtasks remain if all of their primaries are available, with the available auxiliaries, and
    regions remain if a subtask still predicts them. The result may be empty.
    """
    available = set(modalities)
    subtasks = tuple(
        task.model_copy(
            update={"auxiliaries": tuple(a for a in task.auxiliaries if a in available)}
        )
        for task in decomposition.subtasks
        if set(task.primary) <= available
    )
    predicted = {region for task in subtasks for region in task.regions}
    remaining = tuple(m for m in decomposition.modalities if m in available)
    return decomposition.model_copy(
        update={
            "name": f"{decomposition.name} with {', '.join(remaining)}",
            "modalities": remaining,
            "regions": tuple(
                region for region in decomposition.regions if region.name in predicted
            ),
            "subtasks": subtasks,
        }
    )


def modality_subsets(decomposition: Decomposition) -> tuple[Decomposition, ...]:
    """Return the decomposition for every proper subset of its modalities that still segments."""
    used = decomposition.input_modalities
    subsets = (subset for count in range(1, len(used)) for subset in combinations(used, count))
    reduced = (restrict_to_modalities(decomposition, subset) for subset in subsets)
    return tuple(one for one in reduced if one.subtasks and one.input_modalities == one.modalities)


def _included(
    order: tuple[str, ...], names: tuple[str, ...], name: str, included: bool
) -> tuple[str, ...]:
    members = set(names) - {name} | ({name} if included else set())
    return tuple(member for member in order if member in members)


def _with_row(decomposition: Decomposition, row: int, task: Subtask) -> Decomposition:
    return _edited(
        decomposition,
        subtasks=(*decomposition.subtasks[:row], task, *decomposition.subtasks[row + 1 :]),
    )


def _edited(decomposition: Decomposition, **changes: object) -> Decomposition:
    name = (
        decomposition.name
        if decomposition.name.endswith("(edited)")
        else f"{decomposition.name} (edited)"
    )
    return decomposition.model_copy(update={"name": name, **changes})
