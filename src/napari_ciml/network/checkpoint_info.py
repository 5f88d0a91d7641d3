"""What a checkpoint says about itself, read from the file's header alone; no torch here.

A checkpoint is one safetensors file: weights, and under the metadata key ``napari_ciml`` the JSON
of a `CheckpointInfo`. It is never a pickle, so opening one runs no code.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from napari_ciml.cases.intensity import Normalisation
from napari_ciml.decomposition.model import Decomposition
from napari_ciml.errors import CheckpointError, DecompositionError
from napari_ciml.network.settings import STRIDE, NetworkSettings

FORMAT_VERSION = 2
ARCHITECTURE = "ciml"
METADATA_KEY = "napari_ciml"

_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")


Millimetres = Annotated[float, Field(ge=0.3, le=20, allow_inf_nan=False)]
"""Voxel size that a network may work at; smaller voxels than scanners give fill the memory."""

Edge = Annotated[int, Field(ge=STRIDE, le=512, multiple_of=STRIDE)]
Temperature = Annotated[float, Field(ge=0.05, le=20, allow_inf_nan=False)]
Millilitres = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class TrainingRecord(_Frozen):
    """Where the weights come from.

    Parameters
    ----------
    data : str
        What it was trained on, in words.
    cases, steps : int
        Number of training cases and of optimiser steps.
    seed : int
        Seed of the run.
    options : dict
        Everything else needed to repeat it: learning rate, beta, batch size and so on.
    parent : str, optional
        SHA-256 of the checkpoint whose weights it began with.
    """

    data: str
    cases: int = Field(ge=0)
    steps: int = Field(ge=0)
    seed: int
    options: dict[str, float | int | str | bool] = {}
    parent: str | None = None


class Score(_Frozen):
    """Mean Dice of one region over ``cases`` cases of the data named.

    ``modalities`` are those that were given to the network; empty means all of them.
    """

    data: str
    region: str
    cases: int = Field(ge=1)
    dice: float = Field(ge=0, le=1)
    modalities: tuple[str, ...] = ()


class WeightStatistics(_Frozen):
    """Complementary-information weight (eq. 16) over ``cases`` cases: mean and standard deviation.

    ``primary`` and ``region`` name the pair, ``auxiliary`` whose message it is.
    """

    primary: str
    region: str
    auxiliary: str
    mean: float = Field(ge=0, le=1)
    sd: float = Field(ge=0, allow_inf_nan=False)
    cases: int = Field(ge=1)


class PostprocessingSettings(_Frozen):
    """What is done to the network's output, as measured to help.

    Parameters
    ----------
    temperatures : dict of str to float
        By region; logits are divided by it, so that a probability means what it says.
    min_component_ml : dict of str to float
        By region; connected components below this volume are removed.
    min_component_fraction : dict of str to float
        By region; so are those below this fraction of the region's largest component.
    fill_holes : tuple of str
        Regions in which holes are filled.
    multiscale : bool
        Average in a pass at voxels 1.25 times as large, unless asked otherwise.
    """

    temperatures: dict[str, Temperature] = {}
    min_component_ml: dict[str, Millilitres] = {}
    min_component_fraction: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    fill_holes: tuple[str, ...] = ()
    multiscale: bool = False


class CheckpointInfo(_Frozen):
    """Everything about a checkpoint but its weights.

    Parameters
    ----------
    name, description : str
        For the user: what it is for, where it fails.
    decomposition : Decomposition
        What it was trained for.
    network : NetworkSettings
        Widths, norm and parts.
    spacing : tuple of float
        Voxel size it works at, (Z, Y, X) in mm.
    patch : tuple of int
        Patch size it was trained with, (Z, Y, X) in voxels, multiples of 16.
    largest_patch : tuple of int, optional
        If it was trained with patches of several sizes, the largest; ``patch`` is the smallest.
    normalisation : dict
        By modality, for every one that the decomposition uses.
    training : TrainingRecord
        Provenance.
    scores : tuple of Score
        As measured after training.
    postprocessing : PostprocessingSettings
        What is done to the network's output.
    weight_statistics : tuple of WeightStatistics
        As measured after training, so that an unusual case stands out; there may be none.
    """

    format_version: int = Field(
        default=FORMAT_VERSION, strict=True, ge=FORMAT_VERSION, le=FORMAT_VERSION
    )
    architecture: str = ARCHITECTURE
    name: str
    description: str = ""
    decomposition: Decomposition
    network: NetworkSettings
    spacing: tuple[Millimetres, Millimetres, Millimetres]
    patch: tuple[Edge, Edge, Edge]
    largest_patch: tuple[Edge, Edge, Edge] | None = None
    normalisation: dict[str, Normalisation]
    training: TrainingRecord
    scores: tuple[Score, ...] = ()
    postprocessing: PostprocessingSettings = PostprocessingSettings()
    weight_statistics: tuple[WeightStatistics, ...] = ()

    @property
    def tile(self) -> tuple[int, int, int]:
        """As much of a volume as its training has seen at once, (Z, Y, X) in voxels."""
        return self.largest_patch or self.patch

    def reduced_modality_notice(self, modalities: tuple[str, ...]) -> tuple[str, ...]:
        """Say what was measured with fewer modalities, beside what was with all; if it was."""
        fewer = {s.region: s for s in self.scores if set(s.modalities) == set(modalities)}
        everything = {s.region: s for s in self.scores if not s.modalities}
        if not fewer:
            return ()
        dices = ", ".join(
            f"{name} {score.dice:.2f} ({everything[name].dice:.2f} with all)"
            for name, score in fewer.items()
            if name in everything
        )
        first = next(iter(fewer.values()))
        return (f"Mean Dice with these on {first.cases} {first.data}: {dices}.",)

    @model_validator(mode="after")
    def _normalises_what_it_uses(self) -> Self:
        missing = set(self.decomposition.input_modalities) - self.normalisation.keys()
        if missing:
            raise ValueError(f"no normalisation for {', '.join(sorted(missing))}")
        if "dataset" in self.normalisation.values():
            raise ValueError("the data set's intensities were never measured")
        return self


def read_info(path: Path) -> CheckpointInfo:
    """Read and validate what a checkpoint says about itself, before any weight is read.

    Raises
    ------
    CheckpointError
        If the file is missing, a pickle, truncated, another program's, of another architecture
        or of a newer format.
    """
    metadata = _metadata(path)
    if METADATA_KEY not in metadata:
        raise CheckpointError(f"{path}: not written by napari-ciml; choose a CIML checkpoint.")
    try:
        fields = json.loads(metadata[METADATA_KEY])
        _refuse_foreign(path, fields)
        info = CheckpointInfo.model_validate(fields)
        info.decomposition.validated()
    except (DecompositionError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint's description is damaged; get the file again."
        ) from error
    return info


def file_hash(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal; kept while the file does not change."""
    stat = path.stat()
    return _hash(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _hash(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint; choose a .safetensors file.")
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except OSError as error:
        raise CheckpointError(
            f"{path}: the checkpoint cannot be read; check its access rights."
        ) from error
    except SafetensorError as error:
        # Not before: the length that a sound file begins with may look like a pickle's start.
        with path.open("rb") as file:
            is_pickle = file.read(4).startswith(_PICKLE_STARTS)
        if is_pickle:
            raise CheckpointError(
                f"{path}: this is a pickle, which can run any code when it is opened; "
                "only .safetensors checkpoints are read."
            ) from error
        raise CheckpointError(
            f"{path}: this is not a complete .safetensors file; get it again."
        ) from error


def _refuse_foreign(path: Path, fields: dict[str, object]) -> None:
    version, architecture = fields.get("format_version"), fields.get("architecture")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: written in format {version}, this napari-ciml reads format {FORMAT_VERSION}; "
            "update napari-ciml."
        )
    if version == 1:
        raise CheckpointError(
            f"{path}: written in format 1 by an older napari-ciml, this one reads format "
            f"{FORMAT_VERSION}; train or fine-tune it again with this version."
        )
    if architecture != ARCHITECTURE:
        raise CheckpointError(
            f"{path}: holds a '{architecture}' network, not a CIML one; choose another file."
        )
