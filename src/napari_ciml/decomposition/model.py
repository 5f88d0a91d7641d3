"""Task decomposition (section 3.1): which modality is primary for which region, which ones assist.

Pure data: no Qt, no torch. A `Decomposition` may be half edited and wrong; `Decomposition.problems`
says where, and `Decomposition.validated` refuses.
"""

from pathlib import Path
from typing import Annotated, NamedTuple, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_ciml.errors import DecompositionError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$", max_length=40)]
Label = Annotated[int, Field(ge=1, le=65535)]


class Pair(NamedTuple):
    """A primary-region pair, one row of Fig. 12; ``primary`` is the subtask's name."""

    primary: str
    region: str


class Message(NamedTuple):
    """The message an auxiliary modality sends to the segmentor of ``primary``."""

    primary: str
    auxiliary: str


class ValidationIssue(NamedTuple):
    """What is wrong with a decomposition, and where: the name of a modality, region or subtask."""

    where: str
    message: str


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Region(_Frozen):
    """A target region: a set of label values. Regions overlap (ET inside TC inside WT).

    Parameters
    ----------
    name : str
        Short name, as in ``WT``.
    labels : tuple of int
        The values of the label map that belong to the region.
    colour : str
        ``#rrggbb``.
    """

    name: Name
    labels: tuple[Label, ...] = Field(min_length=1)
    colour: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")


class Subtask(_Frozen):
    """One segmentor's task: primary modalities, regions to predict, modalities that assist.

    Parameters
    ----------
    primary : tuple of str
        One or several modalities that its encoder sees together.
    regions : tuple of str
        Names of the regions it predicts.
    auxiliaries : tuple of str
        Modalities whose messages it takes.
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
        What the user calls it.
    modalities : tuple of str
        Every modality of a case, in the order they are shown.
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
            If there is none.
        """
        return _named(self.regions, name)

    def subtask(self, name: str) -> Subtask:
        """Return the subtask called ``name`` (its primary modalities joined by ``+``).

        Raises
        ------
        KeyError
            If there is none.
        """
        return _named(self.subtasks, name)

    @property
    def region_names(self) -> tuple[str, ...]:
        """Names of all regions, outermost first."""
        return tuple(region.name for region in self.regions)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Every primary-region pair, in the order of the subtasks."""
        return tuple(Pair(task.name, region) for task in self.subtasks for region in task.regions)

    @property
    def messages(self) -> tuple[Message, ...]:
        """Every message that is passed, in the order of the subtasks."""
        return tuple(Message(task.name, aux) for task in self.subtasks for aux in task.auxiliaries)

    @property
    def input_modalities(self) -> tuple[str, ...]:
        """Modalities that are primary or auxiliary somewhere, in display order."""
        used = {m for task in self.subtasks for m in (*task.primary, *task.auxiliaries)}
        return tuple(m for m in self.modalities if m in used)

    def problems(self) -> tuple[ValidationIssue, ...]:
        """List everything that is wrong, each with the place it is wrong at."""
        return (*self._region_problems(), *self._subtask_problems())

    def validated(self) -> Self:
        """Return this decomposition if nothing is wrong with it.

        Raises
        ------
        DecompositionError
            Naming the first problem and how many more there are.
        """
        problems = self.problems()
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise DecompositionError(f"Decomposition '{self.name}': {problems[0].message}{more}")
        return self

    def to_yaml(self) -> str:
        """Return the decomposition as YAML, in a form meant to be edited by hand."""
        return str(
            yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        )

    @classmethod
    def from_yaml(cls, text: str, source: str = "the decomposition") -> Self:
        """Read what `to_yaml` wrote, and check it.

        Parameters
        ----------
        text : str
            YAML.
        source : str
            What to call it in an error message, usually the file's name.

        Raises
        ------
        DecompositionError
            If it is not YAML, misses a field, or contradicts itself.
        """
        try:
            return cls.model_validate(yaml.safe_load(text)).validated()
        except (yaml.YAMLError, RecursionError) as error:
            line = getattr(error, "problem_mark", None)
            at = f" (line {line.line + 1})" if line else ""
            raise DecompositionError(f"{source}: this is not readable as YAML{at}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise DecompositionError(
                f"{source}: {place}: {first['msg']}; see a saved decomposition for the form."
            ) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a YAML file; errors as `from_yaml`, and if the file cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DecompositionError(f"{path}: the decomposition cannot be read.") from error
        return cls.from_yaml(text, str(path))

    def _region_problems(self) -> list[ValidationIssue]:
        found = [
            ValidationIssue(name, f"region {name} is listed twice; remove one.")
            for name in _repeated(self.region_names)
        ]
        predicted = {name for task in self.subtasks for name in task.regions}
        found += [
            ValidationIssue(
                name, f"nobody predicts region {name}; tick it for at least one subtask."
            )
            for name in self.region_names
            if name not in predicted
        ]
        for a, b in _same_labels(self.regions):
            found.append(ValidationIssue(b, f"regions {a} and {b} have the same label values."))
        if not self.regions:
            found.append(ValidationIssue("", "there is no region; add one."))
        return found

    def _subtask_problems(self) -> list[ValidationIssue]:
        found = [
            ValidationIssue(name, f"modality {name} is listed twice; remove one.")
            for name in _repeated(self.modalities)
        ]
        found += [
            ValidationIssue(name, f"{name} is primary in two subtasks; put their regions into one.")
            for name in _repeated([_key(task) for task in self.subtasks])
        ]
        for task in self.subtasks:
            found += _problems_of(task, self)
        if not self.subtasks:
            found.append(ValidationIssue("", "there is no subtask; make a modality primary."))
        return found


def _problems_of(task: Subtask, whole: Decomposition) -> list[ValidationIssue]:
    name = task.name
    if not task.primary:
        return [ValidationIssue("", "a subtask has no primary modality; choose one.")]
    messages = [f"{name} is primary but predicts no region; tick one."] if not task.regions else []
    for modality in dict.fromkeys((*task.primary, *task.auxiliaries)):
        if modality not in whole.modalities:
            known = ", ".join(whole.modalities)
            messages.append(f"{name} uses the unknown modality {modality}; known are {known}.")
    messages += [
        f"{modality} cannot be its own auxiliary; switch it off or make it primary only."
        for modality in task.auxiliaries
        if modality in task.primary
    ]
    messages += [
        f"{name} predicts the unknown region {region}; known are {', '.join(whole.region_names)}."
        for region in task.regions
        if region not in whole.region_names
    ]
    for what, names in (
        ("primary", task.primary),
        ("region", task.regions),
        ("auxiliary", task.auxiliaries),
    ):
        messages += [f"{name} lists the {what} {twice} twice." for twice in _repeated(names)]
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
