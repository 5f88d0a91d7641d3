"""What a checkpoint is good for, as a page to read before it is run."""

from collections.abc import Iterator

from napari_ciml.cases.intensity import IntensityStatistics, Normalisation
from napari_ciml.network.checkpoint_info import CheckpointInfo, Score

_NORMALISED = {
    "zscore": "brought to mean 0 and deviation 1 inside the object; any units",
    "ct": "Hounsfield units, cut at -1000 and 1000",
    "suv": "standardised uptake values (SUV), cut at 0 and 30",
}


def render_model_card(info: CheckpointInfo) -> str:
    """Return a page in Markdown: what it takes and gives, how it was trained and judged.

    Parameters
    ----------
    info : CheckpointInfo
        What the checkpoint says about itself.
    """
    parts = (_start(info), _takes(info), _gives(info), _scores(info), _trained(info), _finish(info))
    return "\n\n".join("\n".join(part) for part in parts)


def _start(info: CheckpointInfo) -> Iterator[str]:
    yield f"# {info.name}"
    yield ""
    yield "For research only, not for diagnosis or treatment."
    yield ""
    yield "## Where it fails, and what to know"
    yield ""
    yield info.description or "Its maker says nothing about it. Trust it only as far as you tried."


def _takes(info: CheckpointInfo) -> Iterator[str]:
    spacing = " x ".join(f"{mm:g}" for mm in reversed(info.spacing))
    yield "## What it needs"
    yield ""
    yield "| modality | intensities |"
    yield "|---|---|"
    for modality in info.decomposition.input_modalities:
        yield f"| {modality} | {_normalised(info.normalisation[modality])} |"
    yield ""
    yield (
        f"Images are resampled to voxels of {spacing} mm and back. "
        "With fewer modalities it does what is left of the decomposition."
    )


def _normalised(how: Normalisation) -> str:
    if not isinstance(how, IntensityStatistics):
        return _NORMALISED[how]
    return (
        f"{how.unit}, cut at {how.low:.4g} and {how.high:.4g} (percentiles 0.5 and 99.5 in the "
        f"regions of its training cases); mean {how.mean:.4g} and deviation {how.deviation:.4g} "
        "there become 0 and 1"
    )


def _gives(info: CheckpointInfo) -> Iterator[str]:
    whole = info.decomposition
    yield "## What it segments"
    yield ""
    yield "| region | labels | read from |"
    yield "|---|---|---|"
    for region in whole.regions:
        tasks = [task for task in whole.subtasks if region.name in task.regions]
        read = "; ".join(
            f"{'+'.join(task.primary)}, assisted by {', '.join(task.auxiliaries) or 'none'}"
            for task in tasks
        )
        yield f"| {region.name} | {', '.join(map(str, region.labels))} | {read} |"


def _scores(info: CheckpointInfo) -> Iterator[str]:
    yield "## How well it did (mean Dice)"
    yield ""
    if not info.scores:
        yield "It was not measured."
        return
    regions = info.decomposition.region_names
    rows: dict[tuple[str, ...], dict[str, Score]] = {}
    for score in info.scores:
        rows.setdefault(score.modalities, {})[score.region] = score
    yield f"| given | {' | '.join(regions)} | measured on |"
    yield "|---" * (len(regions) + 2) + "|"
    for given, found in rows.items():
        dices = [f"{found[name].dice:.2f}" if name in found else "-" for name in regions]
        first = next(iter(found.values()))
        names = "+".join(given) or "all modalities"
        yield f"| {names} | {' | '.join(dices)} | {first.cases} {first.data} |"


def _trained(info: CheckpointInfo) -> Iterator[str]:
    training = info.training
    yield "## How it was trained"
    yield ""
    yield f"{training.steps} steps on {training.cases} cases: {training.data}."
    if training.parent is not None:
        yield f"Fine-tuned from the checkpoint with the SHA-256 `{training.parent}`."
    patch = " to ".join(
        " x ".join(map(str, reversed(edges))) for edges in (info.patch, info.largest_patch) if edges
    )
    settings = {"seed": training.seed, **training.options}
    yield ""
    yield (
        f"Network: C = {info.network.base_filters}, {info.network.norm} norm; patches of {patch} "
        f"voxels. " + ", ".join(f"{k} {v}".replace("_", " ") for k, v in settings.items()) + "."
    )


def _finish(info: CheckpointInfo) -> Iterator[str]:
    finish = info.postprocessing
    yield "## What is done to its answer"
    yield ""
    said = [f"{region}: probabilities calibrated" for region in finish.temperatures]
    said += [
        f"{name}: specks under {ml:g} mL removed" for name, ml in finish.min_component_ml.items()
    ]
    said += [
        f"{name}: components under {fraction:.0%} of its largest removed"
        for name, fraction in finish.min_component_fraction.items()
        if fraction
    ]
    said += [f"{name}: holes filled" for name in finish.fill_holes]
    said += ["a pass at voxels 1.25 times as large averaged in"] * finish.multiscale
    yield "; ".join(said) + "." if said else "Nothing."
