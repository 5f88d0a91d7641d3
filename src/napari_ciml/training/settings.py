"""How to train, and on what; no torch here."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_ciml.cases.intensity import Normalisation
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.network.settings import NetworkSettings


class TrainSettings(BaseModel):
    """Everything a run is made of; the defaults are those of section 4.2.

    Parameters
    ----------
    decomposition : Decomposition
        What is learnt.
    network : NetworkSettings
        Widths, norm and parts.
    normalisation : dict
        By modality; what is ``dataset`` is measured on the training cases first.
    spacing : tuple of float
        Voxel size, (Z, Y, X) in mm.
    patch : tuple of int
        Patch, (Z, Y, X) in voxels, multiples of 16.
    largest_patch : tuple of int, optional
        If given, each step has patches of its own size, every edge drawn between the two: the
        statistics of instance norm then are of more or less of a brain, as they are in tiles.
    batch_size, epochs, iterations : int
        ``iterations`` optimiser steps make an epoch.
    learning_rate, weight_decay : float
        Of Adam; the learning rate decays as eq. 13.
    beta : float
        Trade-off of eq. 8.
    foreground_share : float
        Share of patches centred on a voxel of a region.
    modality_dropout, message_dropout : float
        Probability that a step mutes an auxiliary modality everywhere, or one message: what
        makes muting something the network has seen.
    scanners : bool
        Show each modality of a patch as other scanners might (`RandScannerAppearance`).
    transplantation : float
        Probability that a patch gets a lesion of another case (`transplant`).
    mixture_fractions : tuple of float
        Of the patches, for each further data set; the rest is the first one's.
    average : float
        Decay, per step, of the moving average of the weights that is kept as the result; with 0
        the result is the last step's, as in the paper.
    seed : int
        Of everything random.
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
    foreground_share: float = Field(default=0.33, ge=0, le=1)
    modality_dropout: float = Field(default=0.15, ge=0, lt=1)
    message_dropout: float = Field(default=0.1, ge=0, lt=1)
    scanner_augmentation: bool = False
    transplantation: float = Field(default=0.0, ge=0, le=1)
    mixture_fractions: tuple[float, ...] = ()
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    seed: int = 0

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.epochs * self.iterations


class FineTuneSettings(BaseModel):
    """How to learn from corrected cases; the defaults suit one of them, and a CPU.

    Parameters
    ----------
    adapt : {"decoders", "all", "new"}
        Filters and predictors; everything; or only what a changed decomposition made new.
    minutes : float
        How long.
    steps : int, optional
        Of the optimiser; if given, these count instead of the time.
    learning_rate : float
        At the start, of Adam; it decays as eq. 13, by time or steps.
    beta : float
        Trade-off of eq. 8.
    take : float
        How far a version may go from the old weights (0) to the learnt ones (1): half of the way,
        since one case teaches much that is true of it alone; further where that does no harm.
    replay_share : float
        Share of the patches that are of cases not to be forgotten.
    replay_held_out : float
        Share of those cases that judges versions and teaches nothing, as ``held_out``.
    tolerance : float
        Mean Dice that may be lost on them; a single region may lose twice as much.
    held_out : float
        Share of the corrected cases that judges versions and teaches nothing: whole cases, if it
        makes one, else a slab of each.
    seed : int
        Of patches, augmentation and noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    trainable: Literal["decoders", "all", "new"] = "all"
    minutes: float = Field(default=5.0, gt=0)
    steps: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    beta: float = Field(default=0.5, ge=0)
    interpolation: float = Field(default=1.0, gt=0, le=1)
    replay_share: float = Field(default=0.5, ge=0, le=1)
    replay_held_out: float = Field(default=0.5, ge=0, lt=1)
    held_out: float = Field(default=0.2, ge=0, lt=1)
    tolerance: float = Field(default=0.01, ge=0, le=1)
    seed: int = 0


_SPACING = {"autopet": (3.0, 2.04, 2.04)}
"""The voxel size of data sets that are not at 1 mm, (Z, Y, X) in mm."""


def paper_settings(decomposition: Decomposition) -> TrainSettings:
    """Return section 4.2's settings for a decomposition.

    Tumours in brain MR get batch norm and patches of 64 voxels, everything else instance norm and
    128. CT is normalised by the data set's statistics, as nnU-Net does; the rest as usual.
    """
    used = decomposition.input_modalities
    by_data_set: dict[str, Normalisation] = {"CT": "dataset"} if "CT" in used else {}
    brain = set(used) <= {"FLAIR", "T1", "T1CE", "T2"}
    return TrainSettings(
        decomposition=decomposition,
        network=NetworkSettings(norm="batch" if brain else "instance"),
        normalisation=usual_normalisation(used) | by_data_set,
        spacing=_SPACING.get(decomposition.name, (1.0, 1.0, 1.0)),
        patch=(64, 64, 64) if brain else (128, 128, 128),
    )


def usual_normalisation(modalities: Iterable[str]) -> dict[str, Normalisation]:
    """Return how modalities are normalised without a data set: by units, or by themselves."""
    units: dict[str, Normalisation] = {"CT": "ct", "PET": "suv"}
    return {name: units.get(name, "zscore") for name in modalities}


Precision = Literal["auto", "32", "bf16", "16"]


@dataclass(frozen=True)
class Hardware:
    """What a run may use; it does not change what is computed, up to rounding.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    devices : int
        Processes, each with its own device and its own batch of ``batch_size``.
    precision : str
        ``32``, ``bf16``, ``16``, or ``auto`` for the half precision that makes the device faster.
    workers : int
        Processes that prepare patches for each device; with 0 the training waits for them.
    spare : bool
        Compute activations twice instead of holding them; a single process begins
        to when its memory is full.
    """

    device: str = "auto"
    devices: int = 1
    precision: Precision = "auto"
    workers: int = 1
    activation_checkpointing: bool = False
