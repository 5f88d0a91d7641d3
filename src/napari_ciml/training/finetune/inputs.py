"""What a fine-tune learns from, and how it becomes a lesson on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.labels import with_label_convention
from napari_ciml.decomposition.model import Decomposition, Region
from napari_ciml.paths import sample_data
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.settings import FineTuneSettings

if TYPE_CHECKING:
    from napari_ciml.cases.case import Case
    from napari_ciml.network.checkpoint_info import CheckpointInfo
    from napari_ciml.training.cohort import TrainingCase
    from napari_ciml.training.finetune.job import FineTuneJobFolder


@dataclass(frozen=True)
class FineTuneTarget:
    """What a fine-tune begins with.

    Parameters
    ----------
    checkpoint : pathlib.Path
        The version in use.
    decomposition : Decomposition
        What is to be learnt.
    device : str
        Where.
    """

    checkpoint: Path
    decomposition: Decomposition
    device: str


@dataclass(frozen=True)
class CorrectedCase:
    """A case with its corrected label map.

    Parameters
    ----------
    case : Case
        As it is open.
    labels : numpy.ndarray
        On the case grid, (Z, Y, X).
    certain : numpy.ndarray or None
        Where the labels are to be believed, (Z, Y, X) bool; everywhere if None.
    """

    case: "Case"
    labels: np.ndarray
    certain: np.ndarray | None = None


@dataclass(frozen=True)
class FineTuneInput:
    """Something a fine-tune is given.

    Parameters
    ----------
    source : Corrected or pathlib.Path
        A case with its labels, or a folder: of a case with its label map, or of such folders.
    learn : bool
        Whether to learn from it; if not, it is not to be forgotten.
    regions : tuple of Region
        What its label values mean; by default what the decomposition says.
    """

    source: CorrectedCase | Path
    learn: bool = True
    regions: tuple[Region, ...] = ()


def prepare(
    folder: "FineTuneJobFolder",
    materials: Sequence[FineTuneInput],
    settings: FineTuneSettings,
    using: FineTuneTarget,
    monitor: ProgressMonitor,
) -> None:
    """Bring the cases into the model's space and write the lesson; for a thread.

    Raises
    ------
    CimlError
        If a case cannot be used.
    """
    from napari_ciml.cases.datasets import replay_cases
    from napari_ciml.network.checkpoint import load_checkpoint
    from napari_ciml.training.finetune.job import FineTuneJob
    from napari_ciml.training.finetune.patches import read_cases, space_for

    checkpoint = load_checkpoint(using.checkpoint)
    space = space_for(checkpoint.info, using.decomposition)
    monitor.step("Preparing the cases")
    learnt, others = (
        [
            case
            for material in materials
            if material.learn == wanted
            for case in _training_cases(material, space, monitor)
        ]
        for wanted in (True, False)
    )
    if not others:
        usual = replay_cases(None, sample_data(), using.decomposition.input_modalities)
        others = read_cases(usual, space, monitor)
    lesson = FineTuneJob(
        checkpoint=using.checkpoint.resolve(),
        sha256=checkpoint.sha256,
        path=next_version(using.checkpoint),
        decomposition=using.decomposition,
        settings=settings,
        device=using.device,
    )
    folder.write(lesson, learnt, others)


def _training_cases(
    material: FineTuneInput, space: "CheckpointInfo", monitor: ProgressMonitor
) -> list["TrainingCase"]:
    from napari_ciml.cases.datasets import find_cases, labelled_case
    from napari_ciml.training.audit import validate_label_values
    from napari_ciml.training.cohort import to_training_case
    from napari_ciml.training.finetune.patches import read_cases, space_for

    source = material.source
    if material.regions:
        space = space_for(space, with_label_convention(space.decomposition, material.regions))
    if isinstance(source, Path):
        one = labelled_case(source)
        return read_cases([one] if one.label else find_cases(source), space, monitor)
    validate_label_values(source.labels, space.decomposition, "The label map")
    return [to_training_case(source.case, source.labels, space, source.certain)]


def jobs_folder() -> Path:
    """Return where fine-tunes under way are kept."""
    return _own_folder() / "fine-tunes"


def _own_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("napari-ciml", appauthor=False)


def next_version(path: Path) -> Path:
    """Return where a checkpoint's next version goes: into the user's own folder, numbered."""
    folder = _own_folder() / "checkpoints"
    stem = path.stem.rpartition("-v")[0] or path.stem
    number = 1
    while (made := folder / f"{stem}-v{number}.safetensors").exists():
        number += 1
    return made
