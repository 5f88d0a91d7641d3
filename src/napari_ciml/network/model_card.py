"""Model card of a checkpoint, in Markdown (headings after Mitchell et al., 2019)."""

from collections.abc import Iterator

from napari_ciml.cases.intensity import IntensityStatistics, Normalisation
from napari_ciml.network.checkpoint_info import CheckpointInfo, Score

_NORMALISATIONS = {
    "zscore": "any unit; scaled to mean 0 and standard deviation 1 in the foreground",
    "ct": "Hounsfield units, clipped to -1000 and 1000",
    "suv": "standardised uptake values (SUV), clipped to 0 and 30",
}


def render_model_card(info: CheckpointInfo) -> str:
    """Return the model card of a checkpoint.

    Parameters
    ----------
    info : CheckpointInfo
        Metadata of the checkpoint.

    Returns
    -------
    str
        Markdown with the sections limitations, inputs, outputs, evaluation, training and
        postprocessing.
    """
    sections = (_overview, _inputs, _outputs, _evaluation, _training, _postprocessing)
    return "\n\n".join("\n".join(section(info)) for section in sections)


def _overview(info: CheckpointInfo) -> Iterator[str]:
    yield f"# {info.name}"
    yield ""
    yield "For research only, not for diagnosis or treatment."
    yield ""
    yield "## Intended use and limitations"
    yield ""
    yield info.description or "Not documented. Validate it on your own cases before use."


def _inputs(info: CheckpointInfo) -> Iterator[str]:
    spacing = " x ".join(f"{mm:g}" for mm in reversed(info.spacing))
    yield "## Inputs"
    yield ""
    yield "| modality | intensities |"
    yield "|---|---|"
    for modality in info.decomposition.input_modalities:
        yield f"| {modality} | {_describe_normalisation(info.normalisation[modality])} |"
    yield ""
    yield (
        f"Images are resampled to voxels of {spacing} mm, and results back to the case. "
        "If modalities are missing, the subtasks that need them are left out."
    )


def _describe_normalisation(normalisation: Normalisation) -> str:
    if not isinstance(normalisation, IntensityStatistics):
        return _NORMALISATIONS[normalisation]
    statistics = normalisation
    return (
        f"{statistics.unit}, clipped to {statistics.low:.4g} and {statistics.high:.4g} "
        "(percentiles 0.5 and 99.5 in the regions of the training cases); "
        f"mean {statistics.mean:.4g} and standard deviation {statistics.deviation:.4g} "
        "there are scaled to 0 and 1"
    )


def _outputs(info: CheckpointInfo) -> Iterator[str]:
    decomposition = info.decomposition
    yield "## Outputs"
    yield ""
    yield "| region | labels | predicted from |"
    yield "|---|---|---|"
    for region in decomposition.regions:
        tasks = [task for task in decomposition.subtasks if region.name in task.regions]
        primaries = "; ".join(
            f"{'+'.join(task.primary)}, assisted by {', '.join(task.auxiliaries) or 'none'}"
            for task in tasks
        )
        yield f"| {region.name} | {', '.join(map(str, region.labels))} | {primaries} |"


def _evaluation(info: CheckpointInfo) -> Iterator[str]:
    yield "## Evaluation (mean Dice)"
    yield ""
    if not info.scores:
        yield "Not evaluated."
        return
    regions = info.decomposition.region_names
    rows: dict[tuple[str, ...], dict[str, Score]] = {}
    for score in info.scores:
        rows.setdefault(score.modalities, {})[score.region] = score
    yield f"| modalities | {' | '.join(regions)} | cases |"
    yield "|---" * (len(regions) + 2) + "|"
    for modalities, scores in rows.items():
        dices = [f"{scores[name].dice:.2f}" if name in scores else "-" for name in regions]
        first = next(iter(scores.values()))
        names = "+".join(modalities) or "all modalities"
        yield f"| {names} | {' | '.join(dices)} | {first.cases} {first.data} |"


def _training(info: CheckpointInfo) -> Iterator[str]:
    training = info.training
    yield "## Training"
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


def _postprocessing(info: CheckpointInfo) -> Iterator[str]:
    settings = info.postprocessing
    yield "## Postprocessing"
    yield ""
    steps = [f"{region}: temperature scaling" for region in settings.temperatures]
    steps += [
        f"{name}: components below {ml:g} mL removed"
        for name, ml in settings.min_component_ml.items()
    ]
    steps += [
        f"{name}: components below {fraction:.0%} of its largest removed"
        for name, fraction in settings.min_component_fraction.items()
        if fraction
    ]
    steps += [f"{name}: holes filled" for name in settings.fill_holes]
    steps += ["averaged with a second pass at voxels 1.25 times as large"] * settings.multiscale
    yield "; ".join(steps) + "." if steps else "None."
