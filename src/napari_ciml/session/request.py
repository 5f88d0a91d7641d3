"""What the next segmentation is to be: a decomposition and options; what an edit changed."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from napari_ciml.decomposition.model import Decomposition, Pair, ValidationIssue
from napari_ciml.inference.settings import THRESHOLD, RunOptions, SegmentSettings


@dataclass(frozen=True)
class SegmentationRequest:
    """A decomposition and the options of the run.

    Parameters
    ----------
    decomposition : Decomposition
        May be invalid while it is edited, see `problems`.
    options : RunOptions
        Thresholds and weights hold only what is not the default; weights also of pairs that were
        removed from the decomposition, so that a pair that is added again has its weight back.
    """

    decomposition: Decomposition
    options: RunOptions = field(default_factory=lambda: RunOptions(multiscale=False))

    def with_option(self, name: str, value: object) -> "SegmentationRequest":
        """Return the request with another value of one option, by the option's name."""
        return replace(self, options=replace(self.options, **{name: value}))  # type: ignore[arg-type]

    def with_threshold(self, region: str, value: float) -> "SegmentationRequest":
        """Return the request with another threshold of a region."""
        rest = {name: old for name, old in self.options.thresholds.items() if name != region}
        return self.with_option(
            "thresholds", rest if value == THRESHOLD else rest | {region: value}
        )

    def with_weight(self, pair: Pair, value: float) -> "SegmentationRequest":
        """Return the request with another weight of a pair in its region's ensemble."""
        rest = {other: old for other, old in self.options.weights.items() if other != pair}
        return self.with_option("weights", rest if value == 1 else rest | {pair: value})

    def settings(self, compute: SegmentSettings) -> SegmentSettings:
        """Return the settings of the run, with the device and engine of ``compute``.

        Weights of pairs that the decomposition lacks are left out.
        """
        pairs = set(self.decomposition.pairs)
        weights = {pair: one for pair, one in self.options.weights.items() if pair in pairs}
        return compute.with_options(replace(self.options, weights=weights))

    def without_tuning(self) -> "SegmentationRequest":
        """Return the request with default thresholds and weights, as for another case."""
        return replace(self, options=replace(self.options, thresholds={}, weights={}))

    def equals_ignoring_slow_options(self, other: "SegmentationRequest") -> bool:
        """Whether both give the same but for test-time flips and samples."""
        return (
            self.with_option("test_time_flips", other.options.test_time_flips)
            .with_option("kappa_samples", other.options.kappa_samples)
            .same_as(other)
        )

    def problems(self) -> tuple[ValidationIssue, ...]:
        """Return an issue for each region all of whose pairs have weight 0."""
        pairs = self.decomposition.pairs
        return tuple(
            ValidationIssue(name, f"Every pair that predicts {name} has weight 0; raise one.")
            for name in self.decomposition.region_names
            if any(pair.region == name for pair in pairs)
            and not any(self.options.weight(pair) for pair in pairs if pair.region == name)
        )

    def same_as(self, other: "SegmentationRequest") -> bool:
        """Whether both give the same result; names of decompositions do not count."""
        return not describe_changes(self, other)


def describe_changes(before: SegmentationRequest, after: SegmentationRequest) -> tuple[str, ...]:
    """Return a phrase for each edit between two requests; none if only names differ."""
    old, new = before.decomposition, after.decomposition
    if old.regions != new.regions or old.modalities != new.modalities:
        return (f"'{new.name}' for '{old.name}'", *_option_changes(before, after))
    return (
        *_subtask_changes(old, new),
        *_tuning_changes(before, after),
        *_option_changes(before, after),
    )


def _tuning_changes(before: SegmentationRequest, after: SegmentationRequest) -> Iterator[str]:
    """Yield a phrase for each threshold and each weight that was changed."""
    old, new = before.options, after.options
    for name in after.decomposition.region_names:
        if old.threshold(name) != new.threshold(name):
            yield f"{name} threshold {new.threshold(name):.2f}"
    for pair in after.decomposition.pairs:
        if pair in before.decomposition.pairs and old.weight(pair) != new.weight(pair):
            yield f"{pair.primary} weight {new.weight(pair):g} for {pair.region}"


def _option_changes(before: SegmentationRequest, after: SegmentationRequest) -> Iterator[str]:
    """Yield a phrase for each further option that was changed."""
    old, new = before.options, after.options
    if old.postprocess != new.postprocess:
        yield "postprocessed" if new.postprocess else "not postprocessed"
    if old.test_time_flips != new.test_time_flips:
        yield "test-time flips" if new.test_time_flips else "no test-time flips"
    if bool(old.multiscale) != bool(new.multiscale):
        yield "multiscale" if new.multiscale else "single scale"
    if old.kappa_samples != new.kappa_samples:
        yield f"{new.kappa_samples} samples" if new.kappa_samples else "no samples"


def _subtask_changes(old: Decomposition, new: Decomposition) -> Iterator[str]:
    """Yield a phrase for each subtask, message and region that was added or removed."""
    old_tasks = {task.name: task for task in old.subtasks}
    new_names = [task.name for task in new.subtasks]
    yield from (f"subtask {name} removed" for name in old_tasks if name not in new_names)
    for task in new.subtasks:
        previous = old_tasks.get(task.name)
        if previous is None:
            yield f"subtask {task.name} added"
            continue
        for aux in previous.auxiliaries:
            if aux not in task.auxiliaries:
                yield f"{aux} muted for {task.name}"
        for aux in task.auxiliaries:
            if aux not in previous.auxiliaries:
                yield f"{aux} unmuted for {task.name}"
        for name in previous.regions:
            if name not in task.regions:
                yield f"{name} no longer from {task.name}"
        for name in task.regions:
            if name not in previous.regions:
                yield f"{name} from {task.name}"
