"""Settings of training and fine-tuning; does not import torch."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_ciml.cases.intensity import Normalisation
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.network.settings import NetworkSettings


class TrainSettings(BaseModel):
    """Settings of a training run; the defaults are those of section 4.2 of the paper.

    Parameters
    ----------
    decomposition : Decomposition
        Decomposition to learn.
    network : NetworkSettings
        Widths, norm and modules of the network.
    normalisation : dict
        Normalisation by modality; ``dataset`` is first replaced by statistics of the training
        cases (`resolve_dataset_normalisation`).
    spacing : tuple of float
        Voxel size, (Z, Y, X) in mm.
    patch : tuple of int
        Patch size, (Z, Y, X) in voxels, multiples of 16.
    largest_patch : tuple of int, optional
        If given, the patch size of each step is drawn between ``patch`` and this, edge by edge, so
        that the statistics of instance norm vary with the visible part of the anatomy as they do
        between tiles.
    batch_size, epochs, iterations : int
        ``iterations`` optimiser steps make an epoch.
    learning_rate, weight_decay : float
        Learning rate and weight decay of Adam; the learning rate decays as in eq. 13.
    beta : float
        Weight of the KL term in eq. 8.
    foreground_fraction : float
        Fraction of the patches that are centred on a voxel of a region.
    modality_dropout, message_dropout : float
        Probability that a step mutes all messages of an auxiliary modality, or a single message:
        the network must have seen muted messages in training.
    scanner_augmentation : bool
        Vary the appearance of each modality like different scanners do (`RandScannerAppearance`).
    transplantation : float
        Probability that a patch gets a lesion of another case (`transplant`).
    mixture_fractions : tuple of float
        Fraction of the patches from each additional data set; the rest is from the first one.
    ema_decay : float
        Decay per step of the exponential moving average of the weights, which then is the result;
        with 0 the result is the weights of the last step, as in the paper.
    seed : int
        Seed of everything random.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    decomposition: Decomposition
    network: NetworkSettings
    normalisation: dict[str, Normalisation]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    patch: tuple[int, int, int] = (64, 64, 64)
    largest_patch: tuple[int, int, int] | None = None
    batch_size: int = Field(default=2, ge=1)
    epochs: int = Field(default=500, ge=1)
    iterations: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    weight_decay: float = Field(default=3e-5, ge=0)
    beta: float = Field(default=0.5, ge=0)
    foreground_fraction: float = Field(default=0.33, ge=0, le=1)
    modality_dropout: float = Field(default=0.15, ge=0, lt=1)
    message_dropout: float = Field(default=0.1, ge=0, lt=1)
    scanner_augmentation: bool = False
    transplantation: float = Field(default=0.0, ge=0, le=1)
    mixture_fractions: tuple[float, ...] = ()
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    seed: int = 0

    @property
    def steps(self) -> int:
        """Number of optimiser steps of the run."""
        return self.epochs * self.iterations


class FineTuneSettings(BaseModel):
    """Settings of a fine-tune; the defaults suit a single corrected case on a CPU.

    Parameters
    ----------
    trainable : {"decoders", "all", "new"}
        Parameters to train: filters and predictors, all, or only those that a changed
        decomposition adds.
    minutes : float
        Time budget.
    steps : int, optional
        Budget in optimiser steps; if given, it counts instead of the time.
    learning_rate : float
        Initial learning rate of Adam; it decays as in eq. 13 over the budget.
    beta : float
        Weight of the KL term in eq. 8.
    interpolation : float
        Largest position of a version between the old weights (0) and the fine-tuned ones (1). Half
        way is the default of every version, since much of what one case teaches is true of that
        case only; beyond it, only while the replay cases are retained.
    replay_fraction : float
        Fraction of the patches that are cut from replay cases.
    replay_held_out : float
        Fraction of the replay cases that is held out for validation, as ``held_out``.
    held_out : float
        Fraction of the corrected cases that is held out for validation: entire cases, or a slab of
        each if the fraction amounts to less than one case.
    tolerance : float
        Mean Dice that the replay cases may lose; a single region may lose twice as much.
    seed : int
        Seed of patches, augmentation and noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    trainable: Literal["decoders", "all", "new"] = "all"
    minutes: float = Field(default=5.0, gt=0)
    steps: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    beta: float = Field(default=0.5, ge=0)
    interpolation: float = Field(default=1.0, gt=0, le=1)
    replay_fraction: float = Field(default=0.5, ge=0, le=1)
    replay_held_out: float = Field(default=0.5, ge=0, lt=1)
    held_out: float = Field(default=0.2, ge=0, lt=1)
    tolerance: float = Field(default=0.01, ge=0, le=1)
    seed: int = 0


_SPACING = {"autopet": (3.0, 2.04, 2.04)}
"""Voxel size of data sets that are not at 1 mm, by decomposition; (Z, Y, X) in mm."""


def paper_settings(decomposition: Decomposition) -> TrainSettings:
    """Return the settings of section 4.2 for a decomposition.

    Brain MR gets batch norm and patches of 64 voxels, everything else instance norm and 128. CT is
    normalised by statistics of the data set, as in nnU-Net; other modalities by default.
    """
    modalities = decomposition.input_modalities
    by_dataset: dict[str, Normalisation] = {"CT": "dataset"} if "CT" in modalities else {}
    is_brain_mr = set(modalities) <= {"FLAIR", "T1", "T1CE", "T2"}
    return TrainSettings(
        decomposition=decomposition,
        network=NetworkSettings(norm="batch" if is_brain_mr else "instance"),
        normalisation=default_normalisation(modalities) | by_dataset,
        spacing=_SPACING.get(decomposition.name, (1.0, 1.0, 1.0)),
        patch=(64, 64, 64) if is_brain_mr else (128, 128, 128),
    )


def default_normalisation(modalities: Iterable[str]) -> dict[str, Normalisation]:
    """Return the normalisation without a data set: fixed for CT and PET, else z-score."""
    fixed: dict[str, Normalisation] = {"CT": "ct", "PET": "suv"}
    return {name: fixed.get(name, "zscore") for name in modalities}


Precision = Literal["auto", "32", "bf16", "16"]


@dataclass(frozen=True)
class Hardware:
    """Hardware of a run; it does not change what is computed, up to rounding.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    devices : int
        Number of processes, each with its own device and its own batch of ``batch_size``.
    precision : str
        ``32``, ``bf16``, ``16``, or ``auto`` for the half precision that speeds up the device.
    workers : int
        Number of processes per device that prepare patches; with 0, the training process does.
    activation_checkpointing : bool
        Recompute activations in the backward pass instead of storing them. A single process turns
        it on when its memory is full.
    """

    device: str = "auto"
    devices: int = 1
    precision: Precision = "auto"
    workers: int = 1
    activation_checkpointing: bool = False
