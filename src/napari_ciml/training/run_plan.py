"""What a run is asked for, and what its checkpoint says of it."""

from dataclasses import dataclass, field
from pathlib import Path

from napari_ciml.cases.datasets import LabelledCase
from napari_ciml.network.checkpoint_info import CheckpointInfo, TrainingRecord, file_hash
from napari_ciml.training.settings import Hardware, TrainSettings


@dataclass(frozen=True)
class MixedDataset:
    """A further data set, the fraction of the patches that are of it, its cases once found."""

    data: Path
    fraction: float
    cases: tuple[LabelledCase, ...] = ()


@dataclass(frozen=True)
class RunPlan:
    """What a run is asked for.

    Parameters
    ----------
    data, output : pathlib.Path
        The data set, and where everything goes.
    settings : TrainSettings
        Of every fold.
    hardware : Hardware
        What it may use.
    name, description : str
        For the checkpoint's user.
    folds : int
        0 or 1: one network on all cases; from 2 on, cross-validation.
    held_out : int
        How many cases, the last by name, no network is trained on; with one network, it is
        calibrated on them.
    half : bool
        Store the weights in half precision.
    skip_bad : bool
        Leave out cases that cannot be used.
    resume : bool
        Go on with what is in ``output``.
    finish : bool
        With ``resume``: train no more, and take what has been learnt.
    cache : pathlib.Path, optional
        Where prepared cases are kept; by default in ``output``.
    start : pathlib.Path, optional
        A checkpoint whose weights the training begins with, wherever they fit.
    mixed : tuple of MixedDataset
        Further data sets to train on, of which no case is held out or scored on.
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
    skip_bad: bool = False
    resume: bool = False
    finish: bool = False
    cache: Path | None = None
    start: Path | None = None
    mixed: tuple[MixedDataset, ...] = ()

    @property
    def cached(self) -> Path:
        """Where prepared cases are kept."""
        return self.cache or self.output / "cache"

    @property
    def training_data(self) -> str:
        """The data sets in words, for the checkpoint, with the fractions of all but the first."""
        others = (f"{mixed.fraction:.0%} of the patches {mixed.data.name}" for mixed in self.mixed)
        return ", ".join((self.data.name, *others))


def describe(plan: RunPlan, count: int) -> CheckpointInfo:
    """Return what the checkpoint of a run on so many cases says of itself, before it is scored."""
    settings = plan.settings
    options = settings.model_dump(
        exclude={
            "decomposition",
            "network",
            "normalisation",
            "spacing",
            "patch",
            "largest_patch",
            "seed",
            "mixture_fractions",
        }
    )
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
            options=options,
            parent=file_hash(plan.start) if plan.start else None,
        ),
    )
