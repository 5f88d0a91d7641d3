"""A complete training run: check the cohort, train (once or in folds), score, write checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from napari_ciml.cases.datasets import LabelledCase, find_cases
from napari_ciml.decomposition.edits import modality_subsets
from napari_ciml.errors import CheckpointError, InputError
from napari_ciml.files import ensure_writable_folder, write_json
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import Score
from napari_ciml.network.ciml import CIML
from napari_ciml.network.transfer import transfer
from napari_ciml.network.widen import can_widen, widen_state_dict
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.audit import audit
from napari_ciml.training.calibration import fit_postprocessing, predict_for_calibration
from napari_ciml.training.cohort import load_cohort
from napari_ciml.training.folds import split
from napari_ciml.training.intensity_statistics import resolve_dataset_normalisation
from napari_ciml.training.loop import TrainingData, build_ciml, train
from napari_ciml.training.patches import PatchSource
from napari_ciml.training.run_folder import RunFolder
from napari_ciml.training.run_plan import RunPlan, describe
from napari_ciml.training.scoring import CaseScore, Summary, score, summarise, write_scores
from napari_ciml.training.settings import TrainSettings
from napari_ciml.training.state import STATE, load_result

_SUBSET_CASES = 10
"""Number of held-out cases on which every subset of modalities is scored."""

_CHANNEL_NOISE = 0.25
"""Relative difference between the copies of a channel when a narrower network is widened."""

CHECKPOINT, SCORES, SUMMARY = "checkpoint.safetensors", "scores.csv", "summary.json"


@dataclass(frozen=True)
class RunResult:
    """Checkpoints of a run, and summaries of the scores (`summarise`) by set of cases."""

    checkpoints: tuple[Path, ...]
    summary: dict[str, dict[str, Summary]]


def run(plan: RunPlan, monitor: ProgressMonitor) -> RunResult:
    """Run a plan.

    Raises
    ------
    InputError
        If a case cannot be used (the monitor is notified of each), or there are too few.
    CancelledError
        If the monitor's ``stop`` is set; the run can be resumed.
    """
    ensure_writable_folder(plan.output)
    cases, *mixed_cases = _usable_cases(plan, monitor)
    if len(cases) <= plan.held_out:
        raise InputError(
            f"{plan.data}: {len(cases)} cases, of which {plan.held_out} are held out; add cases."
        )
    count = len(cases) - plan.held_out
    training, held_out = cases[:count], cases[count:]
    settings = resolve_dataset_normalisation(
        plan.settings, training, plan.cache_folder, monitor, plan.hardware.workers, plan.pretrained
    )
    mixed = tuple(
        replace(dataset, cases=tuple(usable))
        for dataset, usable in zip(plan.mixed, mixed_cases, strict=True)
    )
    plan = replace(plan, settings=settings, mixed=mixed)
    run_once = _cross_validate if plan.folds > 1 else _train_once
    result = run_once(plan, training, held_out, monitor)
    write_json(plan.output / SUMMARY, result.summary)
    return result


def _usable_cases(plan: RunPlan, monitor: ProgressMonitor) -> list[list[LabelledCase]]:
    """Return the usable cases of each data set; all issues are reported before any is refused."""
    usable, refusals = [], []
    for data in (plan.data, *(mixed.data for mixed in plan.mixed)):
        cases = find_cases(data)
        issues = audit(cases, plan.settings.decomposition, monitor, plan.hardware.workers)
        for issue in issues:
            monitor.notify(f"Left out: {issue}" if plan.skip_unusable else str(issue))
        unusable = {issue.case.name for issue in issues}
        usable.append([case for case in cases if case.name not in unusable])
        if issues and not plan.skip_unusable:
            refusals.append(f"{data}: {len(issues)} of {len(cases)} cases cannot be used")
        elif not usable[-1]:
            raise InputError(f"{data}: no case can be used; leave the data set out.")
    if refusals:
        raise InputError(
            f"{'; '.join(refusals)}, as listed; repair them, or leave them out with "
            "--skip-unusable."
        )
    return usable


def _train_once(
    plan: RunPlan,
    training: list[LabelledCase],
    held_out: list[LabelledCase],
    monitor: ProgressMonitor,
) -> RunResult:
    path = plan.output / CHECKPOINT
    checkpoint = _train(plan, plan.output, training, held_out, monitor)
    if held_out:
        predictions = predict_for_calibration(held_out, checkpoint, plan.hardware.device, monitor)
        postprocessing = fit_postprocessing(predictions)
        info = checkpoint.info.model_copy(update={"postprocessing": postprocessing})
        checkpoint = replace(checkpoint, info=info)
    scores = score(held_out, [checkpoint], plan.hardware.device, monitor)
    subset_scores = _score_modality_subsets(plan, checkpoint, held_out, monitor)
    _save(path, checkpoint, (*_means(scores, "held-out cases"), *subset_scores), plan.half)
    write_scores(plan.output / SCORES, scores)
    return RunResult((path,), {"held out": summarise(scores)} if scores else {})


def _cross_validate(
    plan: RunPlan,
    training: list[LabelledCase],
    held_out: list[LabelledCase],
    monitor: ProgressMonitor,
) -> RunResult:
    device = plan.hardware.device
    checkpoints: list[Checkpoint] = []
    all_scores: list[CaseScore] = []
    summary: dict[str, dict[str, Summary]] = {}
    folds = split(training, plan.folds, plan.settings.seed, plan.output)
    for k, validation in enumerate(folds):
        monitor.notify(f"Fold {k + 1} of {plan.folds}.")
        names = {case.name for case in validation}
        rest = [case for case in training if case.name not in names]
        folder = ensure_writable_folder(plan.output / f"fold{k}")
        checkpoint = _train(plan, folder, rest, validation, monitor)
        scores = score(validation, [checkpoint], device, monitor)
        _save(folder / CHECKPOINT, checkpoint, _means(scores, "validation cases"), plan.half)
        write_scores(folder / SCORES, scores)
        checkpoints.append(checkpoint)
        all_scores += scores
        summary[f"fold {k}"] = summarise(scores)
        if held_out:
            held_out_scores = score(held_out, [checkpoint], device, monitor)
            summary[f"fold {k}, held out"] = summarise(held_out_scores)
    summary["all folds"] = summarise(all_scores)
    if held_out:
        ensemble_scores = score(held_out, checkpoints, device, monitor)
        write_scores(plan.output / "ensemble_scores.csv", ensemble_scores)
        summary["ensemble, held out"] = summarise(ensemble_scores)
    write_scores(plan.output / SCORES, all_scores)
    return RunResult(tuple(checkpoint.path for checkpoint in checkpoints), summary)


def _train(
    plan: RunPlan,
    folder: Path,
    training: list[LabelledCase],
    validation: list[LabelledCase],
    monitor: ProgressMonitor,
) -> Checkpoint:
    """Train a network, or load the present state of its training if only scores are requested."""
    info = describe(plan, len(training))
    if plan.score_only:
        RunFolder(folder).resume(plan.settings)
        network = build_ciml(plan.settings).eval()
        steps = int(load_result(folder, network)["epochs"]) * plan.settings.iterations
        record = info.training.model_copy(update={"steps": steps})
        info = info.model_copy(update={"training": record})
    else:
        network = _fit(plan, folder, training, validation, monitor)
    assert isinstance(network, CIML)
    return Checkpoint(folder / CHECKPOINT, info, "", network)


def _fit(
    plan: RunPlan,
    folder: Path,
    training: list[LabelledCase],
    validation: list[LabelledCase],
    monitor: ProgressMonitor,
) -> nn.Module:
    training_cases, validation_cases, *mixed_cases = (
        load_cohort(cases, plan.settings, plan.cache_folder, monitor, plan.hardware.workers)
        for cases in (training, validation, *(dataset.cases for dataset in plan.mixed))
    )
    sources = [
        PatchSource(cases, dataset.fraction)
        for cases, dataset in zip(mixed_cases, plan.mixed, strict=True)
    ]
    return train(
        TrainingData(training_cases, validation_cases, sources),
        plan.settings,
        folder,
        monitor,
        hardware=plan.hardware,
        # A fold that had not started when the run was interrupted starts now.
        resume=plan.resume and (plan.folds < 2 or (folder / STATE).is_file()),
        build=partial(initial_network, plan.pretrained) if plan.pretrained else build_ciml,
    )


def initial_network(pretrained: Path, settings: TrainSettings) -> CIML:
    """Return the network of a run, initialised with a checkpoint's weights wherever they fit.

    A narrower network is widened; the copies of a channel are perturbed, reproducibly by the run's
    seed.

    Raises
    ------
    CheckpointError
        If the file is refused, or its widths, norm or modules do not fit the run's.
    """
    old = load_checkpoint(pretrained)
    if not can_widen(old.info.network, settings.network):
        raise CheckpointError(
            f"{pretrained}: its network ({old.info.network}) does not fit the run's "
            f"({settings.network}); choose the same norm, and its base filters or a multiple."
        )
    network = old.network
    if old.info.network != settings.network:
        network = CIML(old.info.decomposition, settings.network)
        generator = torch.Generator().manual_seed(settings.seed)
        network.load_state_dict(widen_state_dict(old.network, network, _CHANNEL_NOISE, generator))
    return transfer(network, settings.decomposition).network.requires_grad_()


def _score_modality_subsets(
    plan: RunPlan, checkpoint: Checkpoint, cases: list[LabelledCase], monitor: ProgressMonitor
) -> tuple[Score, ...]:
    """Score the network on every subset of its modalities."""
    scores: list[Score] = []
    device = plan.hardware.device
    for subset in modality_subsets(checkpoint.info.decomposition) if cases else ():
        case_scores = score(cases[:_SUBSET_CASES], [checkpoint], device, monitor, subset)
        scores += _means(case_scores, "held-out cases", subset.modalities)
    return tuple(scores)


def _means(
    scores: Sequence[CaseScore], data: str, modalities: tuple[str, ...] = ()
) -> tuple[Score, ...]:
    return tuple(
        Score(
            data=data,
            region=region,
            cases=int(summary["cases"] or 0),
            dice=float(summary["dice_mean"] or 0),
            modalities=modalities,
        )
        for region, summary in summarise(scores).items()
    )


def _save(path: Path, checkpoint: Checkpoint, scores: tuple[Score, ...], half: bool) -> None:
    info = checkpoint.info.model_copy(update={"scores": scores})
    save_checkpoint(path, checkpoint.network, info, torch.float16 if half else torch.float32)
