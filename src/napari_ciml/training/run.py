"""A whole run: read the cohort, train, score on the cases held out, write the checkpoint."""

from pathlib import Path

import numpy as np
import torch

from napari_ciml.cases.case import open_case
from napari_ciml.cases.labels import region_masks
from napari_ciml.cases.write import read_label_map
from napari_ciml.errors import InputError
from napari_ciml.inference.segment import SegmentSettings, segment
from napari_ciml.measures import dice
from napari_ciml.monitor import Monitor
from napari_ciml.network.checkpoint import Checkpoint, save_checkpoint
from napari_ciml.network.checkpoint_info import CheckpointInfo, Score, TrainingRecord
from napari_ciml.training.cohort import case_folders, find_reference, load_cohort
from napari_ciml.training.loop import train
from napari_ciml.training.settings import TrainSettings


def train_and_score(
    data: Path,
    path: Path,
    settings: TrainSettings,
    *,
    name: str,
    description: str,
    held_out: int,
    half: bool,
    device: str,
    resume: bool,
    monitor: Monitor,
) -> CheckpointInfo:
    """Train on the cases of a folder and write a checkpoint with its provenance and scores.

    Parameters
    ----------
    data : pathlib.Path
        A folder of case folders, each with one label map that has ``seg`` in its name.
    path : pathlib.Path
        The checkpoint; the run's other files are written beside it.
    settings : TrainSettings
        The run.
    name, description : str
        For the checkpoint's user.
    held_out : int
        How many cases, the last by name, are kept for scoring.
    half : bool
        Store the weights in half precision.
    device, resume, monitor
        As `train`.

    Raises
    ------
    InputError
        If the cohort is too small or one of its cases cannot be used.
    """
    folders = case_folders(data)
    if len(folders) <= held_out:
        raise InputError(
            f"{data}: {len(folders)} cases, of which {held_out} are held out; add some."
        )
    kept = folders[: len(folders) - held_out]
    cases = load_cohort(kept, settings, monitor)
    network = train(cases, settings, path.parent, monitor, device, resume)
    info = _describe(settings, name, description, len(kept), data.name)
    scores = _score(folders[len(kept) :], Checkpoint(path, info, "", network), device, monitor)
    info = info.model_copy(update={"scores": scores})
    save_checkpoint(path, network, info, torch.float16 if half else torch.float32)
    return info


def _describe(
    settings: TrainSettings, name: str, description: str, count: int, data: str
) -> CheckpointInfo:
    options = settings.model_dump(
        exclude={"decomposition", "network", "normalisation", "spacing", "patch", "seed"}
    )
    return CheckpointInfo(
        name=name,
        description=description,
        decomposition=settings.decomposition,
        network=settings.network,
        spacing=settings.spacing,
        patch=settings.patch,
        normalisation=settings.normalisation,
        training=TrainingRecord(
            data=data,
            cases=count,
            steps=settings.epochs * settings.iterations,
            seed=settings.seed,
            options=options,
        ),
    )


def _score(
    folders: list[Path], checkpoint: Checkpoint, device: str, monitor: Monitor
) -> tuple[Score, ...]:
    whole = checkpoint.info.decomposition
    found: dict[str, list[float]] = {region: [] for region in whole.region_names}
    for done, folder in enumerate(folders):
        monitor.step("Scoring", done, len(folders))
        case = open_case(folder, needed=whole.used_modalities)
        result = segment(case, checkpoint, settings=SegmentSettings(device=device))
        predicted = region_masks(result.label_map, whole.regions)
        reference = region_masks(read_label_map(find_reference(folder), case), whole.regions)
        for region, values in found.items():
            values.append(dice(predicted[region], reference[region]))
    return tuple(
        Score(data="cases held out", region=region, cases=len(values), dice=float(np.mean(values)))
        for region, values in found.items()
        if values
    )
