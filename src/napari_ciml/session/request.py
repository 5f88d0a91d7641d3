"""What is asked of a segmentation, and how one asking differs from another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from napari_ciml.decomposition.model import Decomposition, Pair, ValidationIssue
from napari_ciml.inference.settings import THRESHOLD, SegmentSettings


@dataclass(frozen=True)
class SegmentationRequest:
    """A decomposition, the thresholds and weights of its ensemble, and what is done beside it.

    Parameters
    ----------
    decomposition : Decomposition
        May be wrong while it is edited.
    thresholds : mapping of str to float
        By region, where not the usual one.
    weights : mapping of Pair to float
        Of pairs in their region's ensemble, where not 1; also of pairs that were taken out, so
        that they come back as they were.
    clean, mirror, coarser, samples
        As of `SegmentSettings`.
    """

    decomposition: Decomposition
    thresholds: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[Pair, float] = field(default_factory=dict)
    postprocess: bool = True
    test_time_flips: bool = False
    multiscale: bool = False
    kappa_samples: int = 0

    def with_threshold(self, region: str, value: float) -> "SegmentationRequest":
        """Take a voxel for a region from another probability on."""
        rest = {name: old for name, old in self.thresholds.items() if name != region}
        return replace(self, thresholds=rest if value == THRESHOLD else rest | {region: value})

    def with_weight(self, pair: Pair, value: float) -> "SegmentationRequest":
        """Give a pair another weight in its region's ensemble."""
        rest = {other: old for other, old in self.weights.items() if other != pair}
        return replace(self, weights=rest if value == 1 else rest | {pair: value})

    def threshold(self, region: str) -> float:
        """Return from which probability on a voxel belongs to a region."""
        return self.thresholds.get(region, THRESHOLD)

    def weight(self, pair: Pair) -> float:
        """Return a pair's weight in its region's ensemble."""
        return self.weights.get(pair, 1.0)

    def settings(self, how: SegmentSettings) -> SegmentSettings:
        """Return how to segment as asked; the weights of pairs that are out are left out."""
        pairs = set(self.decomposition.pairs)
        return replace(
            how,
            thresholds=dict(self.thresholds),
            weights={pair: value for pair, value in self.weights.items() if pair in pairs},
            postprocess=self.postprocess,
            test_time_flips=self.test_time_flips,
            multiscale=self.multiscale,
            kappa_samples=self.kappa_samples,
        )

    def without_tuning(self) -> "SegmentationRequest":
        """Return the same without thresholds and weights, as another case is begun with."""
        return replace(self, thresholds={}, weights={})

    def equals_ignoring_slow_options(self, other: "SegmentationRequest") -> bool:
        """Whether the same is asked, but perhaps for mirrored passes and samples."""
        return replace(
            self, test_time_flips=other.test_time_flips, kappa_samples=other.kappa_samples
        ).same_as(other)

    def problems(self) -> tuple[ValidationIssue, ...]:
        """Say for which regions every pair has weight 0."""
        pairs = self.decomposition.pairs
        return tuple(
            ValidationIssue(name, f"Every pair that predicts {name} has weight 0; raise one.")
            for name in self.decomposition.region_names
            if any(pair.region == name for pair in pairs)
            and not any(self.weight(pair) for pair in pairs if pair.region == name)
        )

    def same_as(self, other: "SegmentationRequest") -> bool:
        """Whether the same comes out, whatever it is called."""
        return not describe_changes(self, other)


def describe_changes(before: SegmentationRequest, after: SegmentationRequest) -> tuple[str, ...]:
    """Say in words what was edited between two askings; nothing if only names were."""
    old, new = before.decomposition, after.decomposition
    if old.regions != new.regions or old.modalities != new.modalities:
        return (f"'{new.name}' for '{old.name}'", *_beside(before, after))
    return (
        *_of_subtasks(old, new),
        *(
            f"{name} from {after.threshold(name):.2f} on"
            for name in new.region_names
            if before.threshold(name) != after.threshold(name)
        ),
        *(
            f"{pair.region} from {pair.primary} weighs {after.weight(pair):g}"
            for pair in new.pairs
            if pair in old.pairs and before.weight(pair) != after.weight(pair)
        ),
        *_beside(before, after),
    )


def _beside(before: SegmentationRequest, after: SegmentationRequest) -> Iterator[str]:
    if before.postprocess != after.postprocess:
        yield "specks and holes removed" if after.postprocess else "specks and holes kept"
    if before.test_time_flips != after.test_time_flips:
        yield "mirrored" if after.test_time_flips else "not mirrored"
    if before.multiscale != after.multiscale:
        yield "two voxel sizes" if after.multiscale else "one voxel size"
    if before.kappa_samples != after.kappa_samples:
        yield f"{after.kappa_samples} samples" if after.kappa_samples else "no samples"


def _of_subtasks(old: Decomposition, new: Decomposition) -> tuple[str, ...]:
    there = {task.name: task for task in old.subtasks}
    left = [task.name for task in new.subtasks]
    found = [f"{name} is no longer a primary" for name in there if name not in left]
    for task in new.subtasks:
        before = there.get(task.name)
        if before is None:
            found.append(f"{task.name} is a primary")
            continue
        found += [
            f"{aux} muted for {task.name}"
            for aux in before.auxiliaries
            if aux not in task.auxiliaries
        ]
        found += [
            f"{aux} heard for {task.name}"
            for aux in task.auxiliaries
            if aux not in before.auxiliaries
        ]
        found += [
            f"{name} not from {task.name}" for name in before.regions if name not in task.regions
        ]
        found += [f"{name} from {task.name}" for name in task.regions if name not in before.regions]
    return tuple(found)
