"""Task decomposition (section 3.1): primary modalities, regions and auxiliaries of each subtask.

Pure data without Qt or torch. A `Decomposition` may be invalid while it is edited:
`Decomposition.problems` lists why, and `Decomposition.validated` raises.
"""

from pathlib import Path
from typing import Annotated, NamedTuple, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_ciml.errors import DecompositionError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$", max_length=40)]
Label = Annotated[int, Field(ge=1, le=65535)]


class Pair(NamedTuple):
    """A primary-region pair (a row of Fig. 12); ``primary`` is the name of the subtask."""

    primary: str
    region: str


class Message(NamedTuple):
    """The message from an auxiliary modality to the segmentor of the subtask ``primary``."""

    primary: str
    auxiliary: str


class ValidationIssue(NamedTuple):
    """A fault of a decomposition; ``where`` names its modality, region or subtask."""

    where: str
    message: str


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Region(_Frozen):
    """A target region: a set of label values. Regions may overlap (ET inside TC inside WT).

    Parameters
    ----------
    name : str
        Short name, such as ``WT``.
    labels : tuple of int
        Values of the label map that belong to the region.
    colour : str
        Display colour, ``#rrggbb``.
    """

    name: Name
    labels: tuple[Label, ...] = Field(min_length=1)
    colour: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")


class Subtask(_Frozen):
    """The task of one segmentor: primary modalities, regions to predict, auxiliary modalities.

    Parameters
    ----------
    primary : tuple of str
        Input modalities of its encoder.
    regions : tuple of str
        Names of the regions to predict.
    auxiliaries : tuple of str
        Modalities whose messages it receives.
    """

    primary: tuple[Name, ...]
    regions: tuple[Name, ...] = ()
    auxiliaries: tuple[Name, ...] = ()

    @property
    def name(self) -> str:
        """The primary modalities joined by ``+``; unique within a decomposition."""
        return "+".join(self.primary)


T = TypeVar("T", Region, Subtask)


class Decomposition(_Frozen):
    """A segmentation task decomposed into subtasks.

    Parameters
    ----------
    name : str
        Name shown to the user.
    modalities : tuple of str
        All modalities of a case, in display order.
    regions : tuple of Region
        From the outermost to the innermost.
    subtasks : tuple of Subtask
        At most one for each set of primary modalities.
    """

    name: str = Field(min_length=1, max_length=80)
    modalities: tuple[Name, ...]
    regions: tuple[Region, ...]
    subtasks: tuple[Subtask, ...]

    def region(self, name: str) -> Region:
        """Return the region called ``name``.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        return _named(self.regions, name)

    def subtask(self, name: str) -> Subtask:
        """Return the subtask called ``name`` (its primary modalities joined by ``+``).

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        return _named(self.subtasks, name)

    @property
    def region_names(self) -> tuple[str, ...]:
        """Names of all regions, outermost first."""
        return tuple(region.name for region in self.regions)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All primary-region pairs, in the order of the subtasks."""
        return tuple(Pair(task.name, region) for task in self.subtasks for region in task.regions)

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages, in the order of the subtasks."""
        return tuple(Message(task.name, aux) for task in self.subtasks for aux in task.auxiliaries)

    @property
    def input_modalities(self) -> tuple[str, ...]:
        """Modalities that are primary or auxiliary somewhere, in display order."""
        used = {m for task in self.subtasks for m in (*task.primary, *task.auxiliaries)}
        return tuple(m for m in self.modalities if m in used)

    def problems(self) -> tuple[ValidationIssue, ...]:
        """Return all faults of the decomposition."""
        return (*self._region_problems(), *self._subtask_problems())

    def validated(self) -> Self:
        """Return this decomposition if it is valid.

        Raises
        ------
        DecompositionError
            With the first fault and the number of others.
        """
        problems = self.problems()
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise DecompositionError(f"Decomposition '{self.name}': {problems[0].message}{more}")
        return self

    def to_yaml(self) -> str:
        """Return the decomposition as YAML that can be edited by hand."""
        return str(
            yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        )

    @classmethod
    def from_yaml(cls, text: str, source: str = "the decomposition") -> Self:
        """Parse and validate the YAML of `to_yaml`.

        Parameters
        ----------
        text : str
            YAML.
        source : str
            Name of the source in error messages, usually the file.

        Raises
        ------
        DecompositionError
            If it is not YAML, lacks a field, or is invalid.
        """
        try:
            return cls.model_validate(yaml.safe_load(text)).validated()
        except (yaml.YAMLError, RecursionError) as error:
            line = getattr(error, "problem_mark", None)
            at = f" (line {line.line + 1})" if line else ""
            raise DecompositionError(f"{source}: this is not readable as YAML{at}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise DecompositionError(
                f"{source}: {field}: {first['msg']}; see a saved decomposition for the form."
            ) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a YAML file; raises `DecompositionError` as `from_yaml` or if it cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DecompositionError(f"{path}: the decomposition cannot be read.") from error
        return cls.from_yaml(text, str(path))

    def _region_problems(self) -> list[ValidationIssue]:
        issues = [
            ValidationIssue(name, f"region {name} is listed twice; remove one.")
            for name in _repeated(self.region_names)
        ]
        predicted = {name for task in self.subtasks for name in task.regions}
        issues += [
            ValidationIssue(name, f"no subtask predicts region {name}; tick it for at least one.")
            for name in self.region_names
            if name not in predicted
        ]
        for a, b in _same_labels(self.regions):
            issues.append(ValidationIssue(b, f"regions {a} and {b} have the same label values."))
        if not self.regions:
            issues.append(ValidationIssue("", "there is no region; add one."))
        return issues

    def _subtask_problems(self) -> list[ValidationIssue]:
        issues = [
            ValidationIssue(name, f"modality {name} is listed twice; remove one.")
            for name in _repeated(self.modalities)
        ]
        issues += [
            ValidationIssue(name, f"{name} is primary in two subtasks; put their regions into one.")
            for name in _repeated([_key(task) for task in self.subtasks])
        ]
        for task in self.subtasks:
            issues += _issues_of(task, self)
        if not self.subtasks:
            issues.append(ValidationIssue("", "there is no subtask; make a modality primary."))
        return issues


def _issues_of(task: Subtask, decomposition: Decomposition) -> list[ValidationIssue]:
    name = task.name
    if not task.primary:
        return [ValidationIssue("", "a subtask has no primary modality; choose one.")]
    messages = [f"{name} is primary but predicts no region; tick one."] if not task.regions else []
    for modality in dict.fromkeys((*task.primary, *task.auxiliaries)):
        if modality not in decomposition.modalities:
            known = ", ".join(decomposition.modalities)
            messages.append(f"{name} uses the unknown modality {modality}; known are {known}.")
    messages += [
        f"{modality} cannot be its own auxiliary; switch it off or make it primary only."
        for modality in task.auxiliaries
        if modality in task.primary
    ]
    regions = ", ".join(decomposition.region_names)
    messages += [
        f"{name} predicts the unknown region {region}; known are {regions}."
        for region in task.regions
        if region not in decomposition.region_names
    ]
    for role, names in (
        ("primary", task.primary),
        ("region", task.regions),
        ("auxiliary", task.auxiliaries),
    ):
        messages += [f"{name} lists the {role} {repeated} twice." for repeated in _repeated(names)]
    return [ValidationIssue(name, message) for message in messages]


def _named(items: tuple[T, ...], name: str) -> T:
    for item in items:
        if item.name == name:
            return item
    raise KeyError(name)


def _key(task: Subtask) -> str:
    return "+".join(sorted(task.primary))


def _repeated(names: tuple[str, ...] | list[str]) -> list[str]:
    return sorted({name for name in names if list(names).count(name) > 1})


def _same_labels(regions: tuple[Region, ...]) -> list[tuple[str, str]]:
    return [
        (a.name, b.name)
        for i, a in enumerate(regions)
        for b in regions[i + 1 :]
        if set(a.labels) == set(b.labels)
    ]
