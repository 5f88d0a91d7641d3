"""A whole run: check the cohort, train (in folds, if asked), score, write checkpoints."""

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
from napari_ciml.training.loop import build_ciml, train
from napari_ciml.training.patches import PatchSource
from napari_ciml.training.run_folder import RunFolder
from napari_ciml.training.run_plan import RunPlan, describe
from napari_ciml.training.scoring import CaseScore, Summary, score, summarise, write_scores
from napari_ciml.training.settings import TrainSettings
from napari_ciml.training.state import STATE, load_result

_SUBSET_CASES = 10
"""On how many of the cases held out every subset of modalities is scored."""

_UNLIKE = 0.25
"""How unlike the copies of a channel are when a run begins with a narrower network's weights."""

CHECKPOINT, SCORES, SUMMARY = "checkpoint.safetensors", "scores.csv", "summary.json"


@dataclass(frozen=True)
class RunResult:
    """What came of it: the checkpoints, and the scores as `summarise` gives them, by what of."""

    checkpoints: tuple[Path, ...]
    summary: dict[str, dict[str, Summary]]


def run(plan: RunPlan, monitor: ProgressMonitor) -> RunResult:
    """Do everything that a plan asks for.

    Raises
    ------
    InputError
        If a case cannot be used (the monitor is told of all of them), or there are too few.
    CancelledError
        If the monitor's ``stop`` is set; what was done can be gone on with.
    """
    ensure_writable_folder(plan.output)
    cases, *others = _usable(plan, monitor)
    if len(cases) <= plan.held_out:
        raise InputError(
            f"{plan.data}: {len(cases)} cases, of which {plan.held_out} are held out; add some."
        )
    kept, held_out = cases[: len(cases) - plan.held_out], cases[len(cases) - plan.held_out :]
    workers = plan.hardware.workers
    settings = resolve_dataset_normalisation(
        plan.settings, kept, plan.cached, monitor, workers, plan.start
    )
    mixed = tuple(
        replace(dataset, cases=tuple(found))
        for dataset, found in zip(plan.mixed, others, strict=True)
    )
    plan = replace(plan, settings=settings, mixed=mixed)
    done = (
        _cross_validate(plan, kept, held_out, monitor)
        if plan.folds > 1
        else _train_once(plan, kept, held_out, monitor)
    )
    write_json(plan.output / SUMMARY, done.summary)
    return done


def _usable(plan: RunPlan, monitor: ProgressMonitor) -> list[list[LabelledCase]]:
    """Return the cases of each data set; all that cannot be used is told before it is refused."""
    usable, refused = [], []
    for data in (plan.data, *(mixed.data for mixed in plan.mixed)):
        cases = find_cases(data)
        flaws = audit(cases, plan.settings.decomposition, monitor, plan.hardware.workers)
        for flaw in flaws:
            monitor.notify(f"Left out: {flaw}" if plan.skip_bad else str(flaw))
        bad = {flaw.case.name for flaw in flaws}
        usable.append([case for case in cases if case.name not in bad])
        if flaws and not plan.skip_bad:
            refused.append(f"{data}: {len(flaws)} of {len(cases)} cases cannot be used")
        elif not usable[-1]:
            raise InputError(f"{data}: no case can be used; leave the data set out.")
    if refused:
        raise InputError(
            f"{'; '.join(refused)}, as listed; mend them, or leave them out with --skip-bad."
        )
    return usable


def _train_once(
    plan: RunPlan, kept: list[LabelledCase], held_out: list[LabelledCase], monitor: ProgressMonitor
) -> RunResult:
    path = plan.output / CHECKPOINT
    checkpoint = _train(plan, plan.output, kept, held_out, monitor)
    if held_out:
        judged = predict_for_calibration(held_out, checkpoint, plan.hardware.device, monitor)
        info = checkpoint.info.model_copy(update={"postprocessing": fit_postprocessing(judged)})
        checkpoint = replace(checkpoint, info=info)
    scores = score(held_out, [checkpoint], plan.hardware.device, monitor)
    fewer = _with_fewer_modalities(plan, checkpoint, held_out, monitor)
    _save(path, checkpoint, (*_means(scores, "cases held out"), *fewer), plan.half)
    write_scores(plan.output / SCORES, scores)
    return RunResult((path,), {"held out": summarise(scores)} if scores else {})


def _cross_validate(
    plan: RunPlan, kept: list[LabelledCase], held_out: list[LabelledCase], monitor: ProgressMonitor
) -> RunResult:
    folds = split(kept, plan.folds, plan.settings.seed, plan.output)
    checkpoints: list[Checkpoint] = []
    paths: list[Path] = []
    everything: list[CaseScore] = []
    summary: dict[str, dict[str, Summary]] = {}
    for k, validation in enumerate(folds):
        monitor.notify(f"Fold {k + 1} of {plan.folds}.")
        chosen = {case.name for case in validation}
        training = [case for case in kept if case.name not in chosen]
        folder = ensure_writable_folder(plan.output / f"fold{k}")
        checkpoint = _train(plan, folder, training, validation, monitor)
        scores = score(validation, [checkpoint], plan.hardware.device, monitor)
        means = _means(scores, "its validation cases")
        _save(folder / CHECKPOINT, checkpoint, means, plan.half)
        write_scores(folder / SCORES, scores)
        checkpoints.append(checkpoint)
        paths.append(folder / CHECKPOINT)
        everything += scores
        summary[f"fold {k}"] = summarise(scores)
        if held_out:
            others = score(held_out, [checkpoint], plan.hardware.device, monitor)
            summary[f"fold {k}, held out"] = summarise(others)
    summary["all folds"] = summarise(everything)
    if held_out:
        together = score(held_out, checkpoints, plan.hardware.device, monitor)
        write_scores(plan.output / "ensemble_scores.csv", together)
        summary["ensemble, held out"] = summarise(together)
    write_scores(plan.output / SCORES, everything)
    return RunResult(tuple(paths), summary)


def _train(
    plan: RunPlan,
    folder: Path,
    training: list[LabelledCase],
    validation: list[LabelledCase],
    monitor: ProgressMonitor,
) -> Checkpoint:
    info = describe(plan, len(training))
    if plan.finish:
        RunFolder(folder).resume(plan.settings)
        network = build_ciml(plan.settings).eval()
        steps = int(load_result(folder, network)["epochs"]) * plan.settings.iterations
        record = info.training.model_copy(update={"steps": steps})
        info = info.model_copy(update={"training": record})
    else:
        network = _learn(plan, folder, training, validation, monitor)
    return Checkpoint(folder / CHECKPOINT, info, "", _ciml(network))


def _learn(
    plan: RunPlan,
    folder: Path,
    training: list[LabelledCase],
    validation: list[LabelledCase],
    monitor: ProgressMonitor,
) -> nn.Module:
    cache, workers = plan.cached, plan.hardware.workers
    return train(
        load_cohort(training, plan.settings, cache, monitor, workers),
        plan.settings,
        folder,
        monitor,
        validation=load_cohort(validation, plan.settings, cache, monitor, workers),
        hardware=plan.hardware,
        # A fold that had not begun when the run was interrupted begins now.
        resume=plan.resume and (plan.folds < 2 or (folder / STATE).is_file()),
        build=partial(initial_network, plan.start) if plan.start else build_ciml,
        sources=[
            PatchSource(
                load_cohort(mixed.cases, plan.settings, cache, monitor, workers), mixed.fraction
            )
            for mixed in plan.mixed
        ],
    )


def initial_network(start: Path, settings: TrainSettings) -> CIML:
    """Return the network of a run with a checkpoint's weights wherever they fit.

    A narrower network's are widened; the copies of a channel are told apart by the run's seed.

    Raises
    ------
    CheckpointError
        If the file is refused, or its widths, norm or parts do not fit the run's.
    """
    old = load_checkpoint(start)
    if not can_widen(old.info.network, settings.network):
        raise CheckpointError(
            f"{start}: its network ({old.info.network}) does not fit the run's "
            f"({settings.network}); choose the same norm, and its base filters or a multiple."
        )
    network = old.network
    if old.info.network != settings.network:
        network = CIML(old.info.decomposition, settings.network)
        drawn = torch.Generator().manual_seed(settings.seed)
        network.load_state_dict(widen_state_dict(old.network, network, _UNLIKE, drawn))
    return transfer(network, settings.decomposition).network.requires_grad_()


def _ciml(network: nn.Module) -> CIML:
    assert isinstance(network, CIML)
    return network


def _with_fewer_modalities(
    plan: RunPlan, checkpoint: Checkpoint, cases: list[LabelledCase], monitor: ProgressMonitor
) -> tuple[Score, ...]:
    """Score the network on every subset of its modalities: what one that is missing costs."""
    found: list[Score] = []
    for fewer in modality_subsets(checkpoint.info.decomposition) if cases else ():
        device = plan.hardware.device
        scores = score(cases[:_SUBSET_CASES], [checkpoint], device, monitor, fewer)
        found += _means(scores, "cases held out", fewer.modalities)
    return tuple(found)


def _means(
    scores: Sequence[CaseScore], data: str, modalities: tuple[str, ...] = ()
) -> tuple[Score, ...]:
    return tuple(
        Score(
            data=data,
            region=region,
            cases=int(found["cases"] or 0),
            dice=float(found["dice_mean"] or 0),
            modalities=modalities,
        )
        for region, found in summarise(scores).items()
    )


def _save(path: Path, checkpoint: Checkpoint, scores: tuple[Score, ...], half: bool) -> None:
    info = checkpoint.info.model_copy(update={"scores": scores})
    save_checkpoint(path, checkpoint.network, info, torch.float16 if half else torch.float32)
