"""Inputs of a fine-tune, prepared for the window and the command line alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.cases.labels import with_label_convention
from napari_ciml.decomposition.model import Decomposition, Region
from napari_ciml.paths import sample_data, user_data_folder
from napari_ciml.progress import ProgressMonitor
from napari_ciml.training.settings import FineTuneSettings

if TYPE_CHECKING:
    from napari_ciml.cases.case import Case
    from napari_ciml.cases.datasets import LabelledCase
    from napari_ciml.network.checkpoint_info import CheckpointInfo
    from napari_ciml.training.cohort import TrainingCase
    from napari_ciml.training.finetune.job import FineTuneJobFolder


@dataclass(frozen=True)
class FineTuneTarget:
    """Checkpoint to fine-tune, and what for.

    Parameters
    ----------
    checkpoint : pathlib.Path
        Checkpoint to start from.
    decomposition : Decomposition
        Decomposition to learn.
    device : str
        Device to train on.
    path : pathlib.Path, optional
        File of the new version; by default the next number in the user's folder (`next_version`).
    """

    checkpoint: Path
    decomposition: Decomposition
    device: str
    path: Path | None = None


@dataclass(frozen=True)
class CorrectedCase:
    """An open case with its corrected label map.

    Parameters
    ----------
    case : Case
        The open case.
    labels : numpy.ndarray
        Label map on the case grid, (Z, Y, X).
    certain : numpy.ndarray or None
        Mask of the voxels whose labels are trusted, (Z, Y, X) bool; all of them if None.
    """

    case: "Case"
    labels: np.ndarray
    certain: np.ndarray | None = None


@dataclass(frozen=True)
class FineTuneInput:
    """One input of a fine-tune.

    Parameters
    ----------
    source : CorrectedCase or pathlib.Path
        An open case, the folder of a case with its label map, or a data set (`find_cases`).
    learn : bool
        True for a case to learn from, False for a replay case.
    regions : tuple of Region
        Label convention of the source; that of the decomposition by default.
    """

    source: CorrectedCase | Path
    learn: bool = True
    regions: tuple[Region, ...] = ()


def prepare(
    folder: "FineTuneJobFolder",
    inputs: Sequence[FineTuneInput],
    settings: FineTuneSettings,
    target: FineTuneTarget,
    monitor: ProgressMonitor,
) -> None:
    """Bring all cases into the model's space and write the job folder.

    Without a replay case among the inputs, the bundled samples with the same modalities are used.

    Raises
    ------
    CimlError
        If the checkpoint or a case cannot be used.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    from napari_ciml.cases.datasets import replay_cases
    from napari_ciml.network.checkpoint import load_checkpoint
    from napari_ciml.training.finetune.adapt import model_space_for
    from napari_ciml.training.finetune.job import FineTuneJob

    monitor.step("Loading the checkpoint")
    checkpoint = load_checkpoint(target.checkpoint)
    space = model_space_for(checkpoint.info, target.decomposition)
    monitor.step("Preparing the cases")
    corrected = _read_inputs([one for one in inputs if one.learn], space, monitor)
    replay = _read_inputs([one for one in inputs if not one.learn], space, monitor)
    if not replay:
        samples = replay_cases(None, sample_data(), target.decomposition.input_modalities)
        replay = read_cases(samples, space, monitor)
    job = FineTuneJob(
        checkpoint=target.checkpoint.resolve(),
        sha256=checkpoint.sha256,
        path=target.path or next_version(target.checkpoint),
        decomposition=target.decomposition,
        settings=settings,
        device=target.device,
    )
    folder.write(job, corrected, replay)


def read_cases(
    cases: "Sequence[LabelledCase]", space: "CheckpointInfo", monitor: ProgressMonitor
) -> "list[TrainingCase]":
    """Read cases with their label maps.

    Parameters
    ----------
    cases : sequence of LabelledCase
        Each with a label map.
    space : CheckpointInfo
        Model space to bring them into.
    monitor : ProgressMonitor
        Receives a step per case.

    Raises
    ------
    InputError
        If a case cannot be used, or has a label value that is in no region.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    from napari_ciml.cases.writing import read_label_map
    from napari_ciml.training.audit import validate_label_values
    from napari_ciml.training.cohort import to_training_case

    training_cases = []
    for k, labelled in enumerate(cases):
        monitor.step("Reading cases", k, len(cases))
        case = labelled.open(space.decomposition.input_modalities)
        labels = read_label_map(labelled.reference, case)
        validate_label_values(labels, space.decomposition, str(labelled.reference))
        training_cases.append(to_training_case(case, labels, space))
    return training_cases


def _read_inputs(
    inputs: Sequence[FineTuneInput], space: "CheckpointInfo", monitor: ProgressMonitor
) -> "list[TrainingCase]":
    return [case for one in inputs for case in _read_input(one, space, monitor)]


def _read_input(
    one: FineTuneInput, space: "CheckpointInfo", monitor: ProgressMonitor
) -> "list[TrainingCase]":
    from napari_ciml.training.audit import validate_label_values
    from napari_ciml.training.cohort import to_training_case
    from napari_ciml.training.finetune.adapt import model_space_for

    source = one.source
    if one.regions:
        space = model_space_for(space, with_label_convention(space.decomposition, one.regions))
    if isinstance(source, Path):
        return read_cases(_labelled_cases(source), space, monitor)
    validate_label_values(source.labels, space.decomposition, "The label map")
    return [to_training_case(source.case, source.labels, space, source.certain)]


def _labelled_cases(folder: Path) -> "list[LabelledCase]":
    """Return the case of a folder with image files, else the cases of the data set in it."""
    from napari_ciml.cases.datasets import find_cases, labelled_case
    from napari_ciml.cases.formats.volumes import image_suffix

    if folder.is_dir() and any(image_suffix(path) for path in folder.iterdir()):
        return [labelled_case(folder)]
    return find_cases(folder)


def jobs_folder() -> Path:
    """Return the folder of unfinished fine-tunes."""
    return user_data_folder() / "fine-tunes"


def next_version(path: Path) -> Path:
    """Return the file of a checkpoint's next version: numbered, in the user's own folder."""
    folder = user_data_folder() / "checkpoints"
    stem = path.stem.rpartition("-v")[0] or path.stem
    number = 1
    while (candidate := folder / f"{stem}-v{number}.safetensors").exists():
        number += 1
    return candidate
