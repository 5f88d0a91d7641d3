"""Study ``finetuning``: gain and forgetting after a fine-tune on one corrected case.

The paper has no such table. The cases are phantoms of protocols that the checkpoint was not trained
on, the first of which is trained on; or real ones, each of which is trained on in turn. Forgetting
is measured on cases that were held out of the training.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.datasets import find_cases, replay_cases
from napari_ciml.cases.labels import region_masks, with_label_convention
from napari_ciml.decomposition.model import Decomposition, Region
from napari_ciml.errors import InputError
from napari_ciml.files import ensure_writable_folder, write_json, write_table
from napari_ciml.inference.device import choose_device
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.paths import sample_data
from napari_ciml.progress import ProgressMonitor
from napari_ciml.research import TABLES
from napari_ciml.research.phantoms.phantom import Phantom, make_phantom
from napari_ciml.research.phantoms.protocols import NONSTANDARD, STANDARD
from napari_ciml.training.cohort import TrainingCase, to_training_case
from napari_ciml.training.finetune.adapt import initial_network, model_space_for
from napari_ciml.training.finetune.evaluator import VersionEvaluator
from napari_ciml.training.finetune.holdout import hold_out
from napari_ciml.training.finetune.inputs import read_cases
from napari_ciml.training.finetune.results import FineTuneResult
from napari_ciml.training.finetune.run import FineTuneTask, finetune
from napari_ciml.training.settings import FineTuneSettings, Hardware

FINETUNING = {"phantoms": "finetuning.csv", "cases": "finetuning-cases.csv"}
"""File of the table by kind of case."""

TRAINED, OTHERS, REPLAY, STANDARD_ROLE = "trained on", "others", "replay", "standard protocol"
"""Roles of cases; the last are the anatomies of the others, with the standard protocol."""

_FIRST_SEED, _SMALLEST_ML = 600_000, 1.0


@dataclass(frozen=True)
class FineTuneStudy:
    """Settings of the study.

    Parameters
    ----------
    settings : FineTuneSettings
        Settings of every fine-tune.
    protocols : tuple of str
        Protocols of the phantoms, one fine-tune each.
    others : int
        Number of phantoms of each protocol that are not trained on.
    spacing : float
        Voxel size of the phantoms in mm.
    data : pathlib.Path, optional
        Data set to use instead of phantoms.
    decomposition : Decomposition, optional
        Decomposition to learn; the checkpoint's own by default.
    convention : tuple of Region
        Label convention of ``data``, if not that of the decomposition.
    device : str
        Device to train on.
    """

    settings: FineTuneSettings = field(default_factory=FineTuneSettings)
    protocols: tuple[str, ...] = NONSTANDARD
    others: int = 6
    spacing: float = 2.0
    data: Path | None = None
    decomposition: Decomposition | None = None
    convention: tuple[Region, ...] = ()
    device: str = "auto"


@dataclass(frozen=True)
class _Trial:
    """One fine-tune: protocol (or ``patients``), all cases, and the index of the training case."""

    protocol: str
    cases: list[TrainingCase]
    trained: int

    @property
    def name(self) -> str:
        return f"{self.protocol}-{self.trained}"


def measure_finetuning(
    checkpoint: Checkpoint,
    output: Path,
    monitor: ProgressMonitor,
    study: FineTuneStudy | None = None,
) -> Path:
    """Fine-tune on one case, and write Dice before and after on every case and region.

    The table is written after each fine-tune; rows of protocols that are not requested are kept.

    Raises
    ------
    InputError
        If there are fewer than two cases, one cannot be used, or the table cannot be written.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    study = study or FineTuneStudy()
    path = ensure_writable_folder(output / TABLES) / FINETUNING[_kind(study)]
    space = model_space_for(checkpoint.info, study.decomposition or checkpoint.info.decomposition)
    samples = replay_cases(None, sample_data(), space.decomposition.input_modalities)
    replay = read_cases(samples, space, monitor)
    rows, trials = _previous_rows(path, study)
    for trial in _trials(study, space, monitor):
        monitor.notify(f"Fine-tuning on case {trial.trained + 1}, {trial.protocol}.")
        version = ensure_writable_folder(output / "versions") / f"{trial.name}.safetensors"
        task = FineTuneTask(
            study.settings,
            version,
            space.decomposition,
            Hardware(device=study.device, workers=0),
        )
        result = finetune(checkpoint, [trial.cases[trial.trained]], replay, task, monitor)
        initial = initial_network(checkpoint, space.decomposition).network.eval()
        info = model_space_for(checkpoint.info, initial.decomposition)
        versions = Checkpoint(version, info, "", initial), load_checkpoint(result.path)
        split = hold_out(replay, study.settings.replay_held_out, study.settings.seed)
        groups = [(REPLAY, split.validation)]
        if study.data is None:
            groups += [(STANDARD_ROLE, _phantoms(study, STANDARD, space, monitor)[1:])]
        rows += _rows(trial, groups, versions, space.decomposition, study, monitor)
        trials[trial.name] = _about(result, study.settings)
        write_table(path, rows)
        about = {
            "cases": _kind(study),
            "checkpoint": checkpoint.sha256,
            "decomposition": space.decomposition.name,
            "trials": trials,
        }
        write_json(path.with_suffix(".json"), about)
    return path


def _previous_rows(
    path: Path, study: FineTuneStudy
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """Return rows and descriptions of earlier trials whose protocols are not requested now."""
    if study.data is not None or not path.is_file():
        return [], {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["protocol"] not in study.protocols]
    trials = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["trials"]
    kept = {row["protocol"] for row in rows}
    return rows, {name: about for name, about in trials.items() if name.rsplit("-", 1)[0] in kept}


def _trials(
    study: FineTuneStudy, space: CheckpointInfo, monitor: ProgressMonitor
) -> Iterator[_Trial]:
    """Yield a trial on the first phantom of each protocol, or on each patient in turn."""
    if study.data is None:
        for protocol in study.protocols:
            yield _Trial(protocol, _phantoms(study, protocol, space, monitor), 0)
        return
    cases = _real_cases(study, space, monitor)
    for trained in range(len(cases)):
        yield _Trial("patients", cases, trained)


def _kind(study: FineTuneStudy) -> str:
    return "phantoms" if study.data is None else "cases"


def _about(result: FineTuneResult, settings: FineTuneSettings) -> dict[str, object]:
    return {
        "settings": settings.model_dump(mode="json", exclude_none=True),
        "steps": result.steps,
        "interpolation": result.interpolation,
        "retains_replay": result.retains_replay,
        "validation_set": result.validation_set,
        "replay_set": result.replay_set,
    }


def _rows(
    trial: _Trial,
    groups: Sequence[tuple[str, list[TrainingCase]]],
    versions: tuple[Checkpoint, Checkpoint],
    target: Decomposition,
    study: FineTuneStudy,
    monitor: ProgressMonitor,
) -> Iterator[dict[str, object]]:
    """Measure both versions on every case; cases are identified by numbers, not by names."""
    device = choose_device(study.device)
    roles = [(TRAINED if k == trial.trained else OTHERS, c) for k, c in enumerate(trial.cases)]
    roles += [(role, case) for role, cases in groups for case in cases]
    for k, (role, case) in enumerate(roles):
        monitor.step("Measuring", k, len(roles))
        evaluator = VersionEvaluator([case], [], target, study.settings.tolerance, device, monitor)
        before, after = (evaluator.measure(version, None).corrected for version in versions)
        for region, value in before.items():
            yield {
                "protocol": trial.protocol,
                "trained": trial.trained,
                "role": role,
                "case": k,
                "region": region,
                "before": f"{value:.4f}",
                "after": f"{after[region]:.4f}",
            }


def _phantoms(
    study: FineTuneStudy, protocol: str, space: CheckpointInfo, monitor: ProgressMonitor
) -> list[TrainingCase]:
    """Return phantoms of the same anatomies for every protocol."""
    cases: list[TrainingCase] = []
    seed = _FIRST_SEED
    while len(cases) <= study.others:
        monitor.step("Making phantoms", len(cases), study.others + 1)
        phantom = make_phantom("glioma", seed, study.spacing, protocol=protocol)
        seed += 1
        if _has_all_regions(phantom, space.decomposition.regions):
            grid = phantom.grid
            names = space.decomposition.input_modalities
            images = {name: phantom.images[name] for name in names}
            case = Case("phantom", images, grid, names[0], grid, {})
            cases.append(to_training_case(case, phantom.labels, space))
    return cases


def _has_all_regions(phantom: Phantom, regions: Sequence[Region]) -> bool:
    """Return whether every region is large enough for a meaningful Dice."""
    masks = region_masks(phantom.labels, regions).values()
    return all(np.count_nonzero(m) * phantom.grid.voxel_ml >= _SMALLEST_ML for m in masks)


def _real_cases(
    study: FineTuneStudy, space: CheckpointInfo, monitor: ProgressMonitor
) -> list[TrainingCase]:
    assert study.data is not None
    cases = find_cases(study.data)
    if len(cases) < 2:
        raise InputError(f"{study.data}: one case; the gain is measured on other cases.")
    decomposition = space.decomposition
    if study.convention:
        decomposition = with_label_convention(decomposition, study.convention)
    return read_cases(cases, model_space_for(space, decomposition), monitor)
