"""What learning from one corrected case is worth on others, and what it costs.

The cases are phantoms of a protocol that the checkpoint was not trained on, of which the first is
learnt from; or real ones, each of which is learnt from in turn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.labels import labelled_as, region_masks
from napari_ciml.decomposition import Decomposition, Region
from napari_ciml.errors import InputError
from napari_ciml.experiments import TABLES
from napari_ciml.experiments.phantoms.phantom import Phantom, make_phantom
from napari_ciml.export.text import write_json, write_table
from napari_ciml.files import prepare_folder
from napari_ciml.inference.device import choose_device
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.network.transfer import transfer
from napari_ciml.resources import sample_data
from napari_ciml.training.cohort import TrainingCase, to_training_case
from napari_ciml.training.datasets import find_cases, replay_cases
from napari_ciml.training.finetune.data import read_cases, space_for
from napari_ciml.training.finetune.outcome import FineTuned
from napari_ciml.training.finetune.run import finetune
from napari_ciml.training.finetune.versions import Judge
from napari_ciml.training.settings import FineTuneSettings, Hardware

LEARNING = {"phantoms": "learning.csv", "cases": "learning-cases.csv"}
"""The table, by what was learnt from."""

LEARNT, OTHER, REPLAY = "learnt from", "others", "not to forget"

_FIRST_SEED, _SMALLEST_ML = 600_000, 1.0


@dataclass(frozen=True)
class LearningStudy:
    """What is tried.

    Parameters
    ----------
    settings : FineTuneSettings
        Of every fine-tune.
    protocol : str
        Of the phantoms.
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
    protocol: str = "t1-flair"
    others: int = 6
    spacing: float = 2.0
    data: Path | None = None
    decomposition: Decomposition | None = None
    meaning: tuple[Region, ...] = ()
    device: str = "auto"


def measure_learning(
    checkpoint: Checkpoint, output: Path, monitor: Monitor, study: LearningStudy | None = None
) -> Path:
    """Learn from one case, and write Dice before and after on every case and region.

    Raises
    ------
    InputError
        If there are fewer than two cases, one cannot be used, or the table cannot be written.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    study = study or LearningStudy()
    folder = prepare_folder(output / TABLES)
    space = space_for(checkpoint.info, study.decomposition or checkpoint.info.decomposition)
    cases = _phantoms(study, space, monitor) if study.data is None else _real(study, space, monitor)
    usual = replay_cases(None, sample_data(), space.decomposition.used_modalities)
    replay = read_cases(usual, space, monitor)
    rows: list[dict[str, object]] = []
    lessons: list[dict[str, object]] = []
    for lesson in range(1 if study.data is None else len(cases)):
        monitor.tell(f"Learning from case {lesson + 1} of {len(cases)}.")
        path = prepare_folder(output / "versions") / f"{_kind(study)}-{lesson}.safetensors"
        done = finetune(
            checkpoint,
            [cases[lesson]],
            replay,
            study.settings,
            path,
            monitor,
            decomposition=space.decomposition,
            hardware=Hardware(device=study.device, workers=0),
        )
        lessons.append(_about(done))
        begun = transfer(checkpoint.network, space.decomposition).network.eval()
        versions = Checkpoint(path, space, "", begun), load_checkpoint(done.path)
        rows += _rows(lesson, cases, replay, versions, study, monitor)
    name = LEARNING[_kind(study)]
    about = {
        "cases": f"phantoms, protocol {study.protocol}" if study.data is None else "real cases",
        "checkpoint": checkpoint.sha256,
        "decomposition": space.decomposition.name,
        "settings": study.settings.model_dump(mode="json", exclude_none=True),
        "lessons": lessons,
    }
    write_json((folder / name).with_suffix(".json"), about)
    return write_table(folder / name, rows)


def _kind(study: LearningStudy) -> str:
    return "phantoms" if study.data is None else "cases"


def _about(done: FineTuned) -> dict[str, object]:
    return {"steps": done.steps, "harmless": done.harmless, "chosen on": done.chosen_on}


def _rows(
    lesson: int,
    cases: Sequence[TrainingCase],
    replay: Sequence[TrainingCase],
    versions: tuple[Checkpoint, Checkpoint],
    study: LearningStudy,
    monitor: Monitor,
) -> Iterator[dict[str, object]]:
    """Measure both versions on every case; cases have numbers, not names."""
    device = choose_device(study.device)
    roles = [(LEARNT if k == lesson else OTHER, case) for k, case in enumerate(cases)]
    roles += [(REPLAY, case) for case in replay]
    for k, (role, case) in enumerate(roles):
        monitor.step("Measuring", k, len(roles))
        judge = Judge([case], [], study.settings.tolerance, device, monitor)
        before, after = (judge.measure(version, None).corrected for version in versions)
        for region, value in before.items():
            yield {
                "lesson": lesson,
                "role": role,
                "case": k,
                "region": region,
                "before": f"{value:.4f}",
                "after": f"{after[region]:.4f}",
            }


def _phantoms(study: LearningStudy, space: CheckpointInfo, monitor: Monitor) -> list[TrainingCase]:
    found: list[TrainingCase] = []
    seed = _FIRST_SEED
    while len(found) <= study.others:
        monitor.step("Making phantoms", len(found), study.others + 1)
        phantom = make_phantom("glioma", seed, study.spacing, protocol=study.protocol)
        seed += 1
        if _shows_all(phantom, space.decomposition.regions):
            grid = phantom.grid
            names = space.decomposition.used_modalities
            images = {name: phantom.images[name] for name in names}
            case = Case("phantom", images, grid, names[0], grid, {})
            found.append(to_training_case(case, phantom.labels, space))
    return found


def _shows_all(phantom: Phantom, regions: Sequence[Region]) -> bool:
    """Return whether there is enough of every region for its Dice to mean something."""
    masks = region_masks(phantom.labels, regions).values()
    return all(np.count_nonzero(m) * phantom.grid.voxel_ml >= _SMALLEST_ML for m in masks)


def _real(study: LearningStudy, space: CheckpointInfo, monitor: Monitor) -> list[TrainingCase]:
    assert study.data is not None
    found = find_cases(study.data)
    if len(found) < 2:
        raise InputError(f"{study.data}: one case; learning is measured on others.")
    whole = space.decomposition
    read_as = labelled_as(whole, study.meaning) if study.meaning else whole
    return read_cases(found, space_for(space, read_as), monitor)
