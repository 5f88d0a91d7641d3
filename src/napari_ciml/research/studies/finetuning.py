"""What learning from one corrected case is worth on others, and what it costs.

The cases are phantoms of protocols that the checkpoint was not trained on, the first of which is
learnt from; or real ones, each of which is learnt from in turn. What is not to be forgotten is
measured on cases that taught nothing.
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
from napari_ciml.research.phantoms.protocols import STRANGE
from napari_ciml.training.cohort import TrainingCase, to_training_case
from napari_ciml.training.finetune.adapt import initial_network
from napari_ciml.training.finetune.evaluator import VersionEvaluator
from napari_ciml.training.finetune.holdout import hold_out
from napari_ciml.training.finetune.patches import read_cases, space_for
from napari_ciml.training.finetune.results import FineTuneResult
from napari_ciml.training.finetune.run import finetune
from napari_ciml.training.settings import FineTuneSettings, Hardware

LEARNING = {"phantoms": "learning.csv", "cases": "learning-cases.csv"}
"""The table, by what was learnt from."""

LEARNT, OTHER, REPLAY, USUAL = "learnt from", "others", "not to forget", "usual protocol"
"""What a case is: ``USUAL`` are the others' brains and tumours as the checkpoint knows them."""

_FIRST_SEED, _SMALLEST_ML = 600_000, 1.0


@dataclass(frozen=True)
class LearningStudy:
    """What is tried.

    Parameters
    ----------
    settings : FineTuneSettings
        Of every fine-tune.
    protocols : tuple of str
        Of the phantoms; one lesson each.
    others : int
        Phantoms that are not learnt from.
    spacing : float
        Their voxel size in mm.
    data : pathlib.Path, optional
        Real cases in place of phantoms.
    decomposition : Decomposition, optional
        What is learnt; the checkpoint's own by default.
    meaning : tuple of Region
        What the label values of ``data`` mean, if not what the decomposition says.
    device : str
        Where.
    """

    settings: FineTuneSettings = field(default_factory=FineTuneSettings)
    protocols: tuple[str, ...] = STRANGE
    others: int = 6
    spacing: float = 2.0
    data: Path | None = None
    decomposition: Decomposition | None = None
    meaning: tuple[Region, ...] = ()
    device: str = "auto"


@dataclass(frozen=True)
class _Lesson:
    """One fine-tune: of which protocol, or of patients; all cases, and which one teaches."""

    protocol: str
    cases: list[TrainingCase]
    teacher: int

    @property
    def name(self) -> str:
        return f"{self.protocol}-{self.teacher}"


def measure_learning(
    checkpoint: Checkpoint,
    output: Path,
    monitor: ProgressMonitor,
    study: LearningStudy | None = None,
) -> Path:
    """Learn from one case, and write Dice before and after on every case and region.

    The table is written after each lesson; protocols that it has already and that are not asked
    for stay in it.

    Raises
    ------
    InputError
        If there are fewer than two cases, one cannot be used, or the table cannot be written.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    study = study or LearningStudy()
    path = ensure_writable_folder(output / TABLES) / LEARNING[_kind(study)]
    space = space_for(checkpoint.info, study.decomposition or checkpoint.info.decomposition)
    samples = replay_cases(None, sample_data(), space.decomposition.input_modalities)
    replay = read_cases(samples, space, monitor)
    rows, lessons = _done_before(path, study)
    for lesson in _lessons(study, space, monitor):
        monitor.notify(f"Learning from case {lesson.teacher + 1}, {lesson.protocol}.")
        version = ensure_writable_folder(output / "versions") / f"{lesson.name}.safetensors"
        done = finetune(
            checkpoint,
            [lesson.cases[lesson.teacher]],
            replay,
            study.settings,
            version,
            monitor,
            decomposition=space.decomposition,
            hardware=Hardware(device=study.device, workers=0),
        )
        begun = initial_network(checkpoint, space.decomposition).network.eval()
        info = space_for(checkpoint.info, begun.decomposition)
        versions = Checkpoint(version, info, "", begun), load_checkpoint(done.path)
        kept = hold_out(replay, study.settings.replay_held_out, study.settings.seed).validation
        groups = [(REPLAY, kept)]
        if study.data is None:
            groups += [(USUAL, _phantoms(study, "usual", space, monitor)[1:])]
        rows += _rows(lesson, groups, versions, space.decomposition, study, monitor)
        lessons[lesson.name] = _about(done, study.settings)
        write_table(path, rows)
        about = {
            "cases": _kind(study),
            "checkpoint": checkpoint.sha256,
            "decomposition": space.decomposition.name,
            "lessons": lessons,
        }
        write_json(path.with_suffix(".json"), about)
    return path


def _done_before(
    path: Path, study: LearningStudy
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """Return the rows of protocols that are not asked for now, and what is noted of them."""
    if study.data is not None or not path.is_file():
        return [], {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["protocol"] not in study.protocols]
    lessons = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["lessons"]
    kept = {row["protocol"] for row in rows}
    return rows, {name: said for name, said in lessons.items() if name.rsplit("-", 1)[0] in kept}


def _lessons(
    study: LearningStudy, space: CheckpointInfo, monitor: ProgressMonitor
) -> Iterator[_Lesson]:
    """Yield a lesson from the first phantom of each protocol, or from each patient in turn."""
    if study.data is None:
        for protocol in study.protocols:
            yield _Lesson(protocol, _phantoms(study, protocol, space, monitor), 0)
        return
    cases = _real(study, space, monitor)
    for teacher in range(len(cases)):
        yield _Lesson("patients", cases, teacher)


def _kind(study: LearningStudy) -> str:
    return "phantoms" if study.data is None else "cases"


def _about(done: FineTuneResult, settings: FineTuneSettings) -> dict[str, object]:
    return {
        "settings": settings.model_dump(mode="json", exclude_none=True),
        "steps": done.steps,
        "taken": done.interpolation,
        "harmless": done.retains_replay,
        "chosen on": done.chosen_on,
        "replay": done.kept_on,
    }


def _rows(
    lesson: _Lesson,
    groups: Sequence[tuple[str, list[TrainingCase]]],
    versions: tuple[Checkpoint, Checkpoint],
    wanted: Decomposition,
    study: LearningStudy,
    monitor: ProgressMonitor,
) -> Iterator[dict[str, object]]:
    """Measure both versions on every case; cases have numbers, not names."""
    device = choose_device(study.device)
    roles = [(LEARNT if k == lesson.teacher else OTHER, c) for k, c in enumerate(lesson.cases)]
    roles += [(role, case) for role, cases in groups for case in cases]
    for k, (role, case) in enumerate(roles):
        monitor.step("Measuring", k, len(roles))
        judge = VersionEvaluator([case], [], wanted, study.settings.tolerance, device, monitor)
        before, after = (judge.measure(version, None).corrected for version in versions)
        for region, value in before.items():
            yield {
                "protocol": lesson.protocol,
                "lesson": lesson.teacher,
                "role": role,
                "case": k,
                "region": region,
                "before": f"{value:.4f}",
                "after": f"{after[region]:.4f}",
            }


def _phantoms(
    study: LearningStudy, protocol: str, space: CheckpointInfo, monitor: ProgressMonitor
) -> list[TrainingCase]:
    """Return phantoms of the same brains and tumours, whatever the protocol."""
    found: list[TrainingCase] = []
    seed = _FIRST_SEED
    while len(found) <= study.others:
        monitor.step("Making phantoms", len(found), study.others + 1)
        phantom = make_phantom("glioma", seed, study.spacing, protocol=protocol)
        seed += 1
        if _shows_all(phantom, space.decomposition.regions):
            grid = phantom.grid
            names = space.decomposition.input_modalities
            images = {name: phantom.images[name] for name in names}
            case = Case("phantom", images, grid, names[0], grid, {})
            found.append(to_training_case(case, phantom.labels, space))
    return found


def _shows_all(phantom: Phantom, regions: Sequence[Region]) -> bool:
    """Return whether there is enough of every region for its Dice to mean something."""
    masks = region_masks(phantom.labels, regions).values()
    return all(np.count_nonzero(m) * phantom.grid.voxel_ml >= _SMALLEST_ML for m in masks)


def _real(
    study: LearningStudy, space: CheckpointInfo, monitor: ProgressMonitor
) -> list[TrainingCase]:
    assert study.data is not None
    found = find_cases(study.data)
    if len(found) < 2:
        raise InputError(f"{study.data}: one case; learning is measured on others.")
    whole = space.decomposition
    read_as = with_label_convention(whole, study.meaning) if study.meaning else whole
    return read_cases(found, space_for(space, read_as), monitor)
