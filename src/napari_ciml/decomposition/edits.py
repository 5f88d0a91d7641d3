"""Edits of a decomposition, each returning a new one; the result may be wrong and say so."""

from collections.abc import Collection
from itertools import combinations
from typing import Literal

from napari_ciml.decomposition.model import Decomposition, Message, Subtask

Role = Literal["primary", "auxiliary", "off"]

ROLES: tuple[Role, ...] = ("primary", "auxiliary", "off")
"""In the order in which a click goes through them: one click mutes an auxiliary."""


def role_of(task: Subtask, modality: str) -> Role:
    """Return the part a modality plays in a subtask."""
    if modality in task.primary:
        return "primary"
    return "auxiliary" if modality in task.auxiliaries else "off"


def next_role(role: Role) -> Role:
    """Return the role that a click on ``role`` leads to."""
    return ROLES[(ROLES.index(role) + 1) % len(ROLES)]


def with_role(whole: Decomposition, row: int, modality: str, role: Role) -> Decomposition:
    """Give a modality another part in the subtask of a row."""
    task = whole.subtasks[row]
    changes = {
        "primary": _included(whole.modalities, task.primary, modality, role == "primary"),
        "auxiliaries": _included(whole.modalities, task.auxiliaries, modality, role == "auxiliary"),
    }
    return _with_row(whole, row, task.model_copy(update=changes))


def with_region(whole: Decomposition, row: int, region: str, predicted: bool) -> Decomposition:
    """Let the subtask of a row predict a region, or leave it out of that region's ensemble."""
    task = whole.subtasks[row]
    regions = _included(whole.region_names, task.regions, region, predicted)
    return _with_row(whole, row, task.model_copy(update={"regions": regions}))


def with_subtask(whole: Decomposition) -> Decomposition:
    """Add a subtask for the first modality that is nowhere primary; all others assist it."""
    taken = {modality for task in whole.subtasks for modality in task.primary}
    primary = next((m for m in whole.modalities if m not in taken), None)
    task = Subtask(
        primary=(primary,) if primary else (),
        auxiliaries=tuple(m for m in whole.modalities if m != primary),
    )
    return _edited(whole, subtasks=(*whole.subtasks, task))


def without_subtask(whole: Decomposition, row: int) -> Decomposition:
    """Remove the subtask of a row."""
    return _edited(whole, subtasks=whole.subtasks[:row] + whole.subtasks[row + 1 :])


def mute_messages(whole: Decomposition, muted: Collection[Message]) -> Decomposition:
    """Mute messages; one that a decomposition does not have changes nothing."""
    for row, task in enumerate(whole.subtasks):
        for auxiliary in task.auxiliaries:
            if Message(task.name, auxiliary) in muted:
                whole = with_role(whole, row, auxiliary, "off")
    return whole


def restrict_to_modalities(whole: Decomposition, modalities: Collection[str]) -> Decomposition:
    """Keep what some modalities are enough for.

    Subtasks stay whose primaries are all there, with the messages of those that are there, and the
    regions that somebody still predicts. There may be none.
    """
    there = set(modalities)
    subtasks = tuple(
        task.model_copy(update={"auxiliaries": tuple(a for a in task.auxiliaries if a in there)})
        for task in whole.subtasks
        if set(task.primary) <= there
    )
    predicted = {region for task in subtasks for region in task.regions}
    kept = tuple(m for m in whole.modalities if m in there)
    return whole.model_copy(
        update={
            "name": f"{whole.name} with {', '.join(kept)}",
            "modalities": kept,
            "regions": tuple(region for region in whole.regions if region.name in predicted),
            "subtasks": subtasks,
        }
    )


def modality_subsets(whole: Decomposition) -> tuple[Decomposition, ...]:
    """Return what is left for every smaller set of the used modalities that still segments."""
    used = whole.input_modalities
    smaller = (some for count in range(1, len(used)) for some in combinations(used, count))
    kept = (restrict_to_modalities(whole, some) for some in smaller)
    return tuple(one for one in kept if one.subtasks and one.input_modalities == one.modalities)


def _included(
    order: tuple[str, ...], names: tuple[str, ...], name: str, included: bool
) -> tuple[str, ...]:
    wanted = set(names) - {name} | ({name} if included else set())
    return tuple(known for known in order if known in wanted)


def _with_row(whole: Decomposition, row: int, task: Subtask) -> Decomposition:
    return _edited(whole, subtasks=(*whole.subtasks[:row], task, *whole.subtasks[row + 1 :]))


def _edited(whole: Decomposition, **changes: object) -> Decomposition:
    name = whole.name if whole.name.endswith("(edited)") else f"{whole.name} (edited)"
    return whole.model_copy(update={"name": name, **changes})
