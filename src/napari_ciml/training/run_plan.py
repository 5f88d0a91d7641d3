"""Plan of a training run, and the description in its checkpoint."""

from dataclasses import dataclass, field
from pathlib import Path

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.network.checkpoint_info import CheckpointInfo, TrainingRecord, file_hash
from napari_ciml.training.settings import Hardware, TrainSettings


@dataclass(frozen=True)
class MixedDataset:
    """An additional data set, its fraction of the patches, and its cases once they are found."""

    data: Path
    fraction: float
    cases: tuple[LabelledCase, ...] = ()


@dataclass(frozen=True)
class RunPlan:
    """Plan of a training run.

    Parameters
    ----------
    data, output : pathlib.Path
        Folder of the data set, and of the run.
    settings : TrainSettings
        Training settings, of every fold.
    hardware : Hardware
        Hardware to train on.
    name, description : str
        Name and description of the checkpoint.
    folds : int
        0 or 1 to train one network on all cases; from 2 on, cross-validation.
    held_out : int
        Number of cases, the last by name, that are never trained on. A single network is calibrated
        on them.
    half : bool
        Store the weights in half precision.
    skip_unusable : bool
        Leave out cases that cannot be used instead of failing.
    resume : bool
        Resume the run in ``output``.
    score_only : bool
        With ``resume``: do not train any further, score the present state.
    cache : pathlib.Path, optional
        Cache folder of prepared cases; by default in ``output``.
    pretrained : pathlib.Path, optional
        Checkpoint whose weights initialise the network wherever they fit.
    mixed : tuple of MixedDataset
        Additional data sets to train on; none of their cases is held out or scored.
    """

    data: Path
    output: Path
    settings: TrainSettings
    hardware: Hardware = field(default_factory=Hardware)
    name: str = "untitled"
    description: str = ""
    folds: int = 0
    held_out: int = 0
    half: bool = False
    skip_unusable: bool = False
    resume: bool = False
    score_only: bool = False
    cache: Path | None = None
    pretrained: Path | None = None
    mixed: tuple[MixedDataset, ...] = ()

    @property
    def cache_folder(self) -> Path:
        """Cache folder of prepared cases."""
        return self.cache or self.output / "cache"

    @property
    def training_data(self) -> str:
        """Description of the data sets for the checkpoint, with the fractions of the mixed ones."""
        mixed = (f"{one.fraction:.0%} of the patches {one.data.name}" for one in self.mixed)
        return ", ".join((self.data.name, *mixed))


def describe(plan: RunPlan, count: int) -> CheckpointInfo:
    """Return the info of a checkpoint trained on ``count`` cases, without scores."""
    settings = plan.settings
    recorded_elsewhere = {
        "decomposition",
        "network",
        "normalisation",
        "spacing",
        "patch",
        "largest_patch",
        "seed",
        "mixture_fractions",
    }
    return CheckpointInfo(
        name=plan.name,
        description=plan.description,
        decomposition=settings.decomposition,
        network=settings.network,
        spacing=settings.spacing,
        patch=settings.patch,
        largest_patch=settings.largest_patch,
        normalisation=settings.normalisation,
        training=TrainingRecord(
            data=plan.training_data,
            cases=count,
            steps=settings.steps,
            seed=settings.seed,
            options=settings.model_dump(exclude=recorded_elsewhere),
            parent=file_hash(plan.pretrained) if plan.pretrained else None,
        ),
    )
