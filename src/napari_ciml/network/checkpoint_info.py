"""Metadata of a checkpoint, read from the file's header alone. No torch here.

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

_PICKLE_MAGIC = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")

Millimetres = Annotated[float, Field(ge=0.3, le=20, allow_inf_nan=False)]
"""Voxel size of a model grid; smaller voxels than those of scanners would fill the memory."""

Edge = Annotated[int, Field(ge=STRIDE, le=512, multiple_of=STRIDE)]
Temperature = Annotated[float, Field(ge=0.05, le=20, allow_inf_nan=False)]
Millilitres = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class TrainingRecord(_Frozen):
    """Provenance of the weights.

    Parameters
    ----------
    data : str
        Description of the training data.
    cases, steps : int
        Number of training cases and of optimiser steps.
    seed : int
        Seed of the run.
    options : dict
        Further settings of the run: learning rate, beta, batch size and so on.
    parent : str, optional
        SHA-256 of the checkpoint that the run started from.
    """

    data: str
    cases: int = Field(ge=0)
    steps: int = Field(ge=0)
    seed: int
    options: dict[str, float | int | str | bool] = {}
    parent: str | None = None


class Score(_Frozen):
    """Mean Dice of a region on evaluation cases.

    Parameters
    ----------
    data : str
        Description of the evaluation data.
    region : str
        Name of the region.
    cases : int
        Number of cases.
    dice : float
        Mean Dice over the cases.
    modalities : tuple of str
        Modalities given to the network; empty for all.
    """

    data: str
    region: str
    cases: int = Field(ge=1)
    dice: float = Field(ge=0, le=1)
    modalities: tuple[str, ...] = ()


class WeightStatistics(_Frozen):
    """Mean and standard deviation of a complementary-information weight (eq. 16) over cases.

    Parameters
    ----------
    primary, region : str
        The pair.
    auxiliary : str
        Auxiliary modality of the message.
    mean, sd : float
        Mean and standard deviation over the cases.
    cases : int
        Number of cases.
    """

    primary: str
    region: str
    auxiliary: str
    mean: float = Field(ge=0, le=1)
    sd: float = Field(ge=0, allow_inf_nan=False)
    cases: int = Field(ge=1)


class PostprocessingSettings(_Frozen):
    """Postprocessing of the network's output, chosen on validation cases.

    Parameters
    ----------
    temperatures : dict of str to float
        By region; logits are divided by it to calibrate probabilities.
    min_component_ml : dict of str to float
        By region; smaller connected components are removed.
    min_component_fraction : dict of str to float
        By region; components below this fraction of the region's largest one are removed.
    fill_holes : tuple of str
        Regions in which holes are filled.
    multiscale : bool
        Whether a second pass at voxels 1.25 times as large is the default.
    """

    temperatures: dict[str, Temperature] = {}
    min_component_ml: dict[str, Millilitres] = {}
    min_component_fraction: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    fill_holes: tuple[str, ...] = ()
    multiscale: bool = False


class CheckpointInfo(_Frozen):
    """Metadata of a checkpoint: everything but its weights.

    Parameters
    ----------
    name, description : str
        For the user: purpose and known failures.
    decomposition : Decomposition
        Decomposition it was trained for.
    network : NetworkSettings
        Width, norm and components of the network.
    spacing : tuple of float
        Voxel size of the model grid, (Z, Y, X) in mm.
    patch : tuple of int
        Patch size of the training, (Z, Y, X) in voxels, multiples of 16.
    largest_patch : tuple of int, optional
        Largest patch size, if there were several; ``patch`` is then the smallest.
    normalisation : dict
        Intensity normalisation by modality, for every input modality.
    training : TrainingRecord
        Provenance.
    scores : tuple of Score
        Scores measured after training.
    postprocessing : PostprocessingSettings
        Postprocessing of the network's output.
    weight_statistics : tuple of WeightStatistics
        Complementary-information weights measured after training, to recognise atypical cases; may
        be empty.
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
        """Tile size of sliding-window inference, (Z, Y, X) in voxels: the largest patch."""
        return self.largest_patch or self.patch

    def reduced_modality_notice(self, modalities: tuple[str, ...]) -> tuple[str, ...]:
        """Return a notice with the scores measured with these modalities only.

        Parameters
        ----------
        modalities : tuple of str
            Modalities of a case.

        Returns
        -------
        tuple of str
            One notice, or none if nothing was measured with these modalities.
        """
        reduced = {s.region: s for s in self.scores if set(s.modalities) == set(modalities)}
        complete = {s.region: s for s in self.scores if not s.modalities}
        if not reduced:
            return ()
        dices = ", ".join(
            f"{name} {score.dice:.2f} ({complete[name].dice:.2f} with all)"
            for name, score in reduced.items()
            if name in complete
        )
        first = next(iter(reduced.values()))
        return (f"Mean Dice with these on {first.cases} {first.data}: {dices}.",)

    @model_validator(mode="after")
    def _check_normalisation(self) -> Self:
        missing = set(self.decomposition.input_modalities) - self.normalisation.keys()
        if missing:
            raise ValueError(f"no normalisation for {', '.join(sorted(missing))}")
        if "dataset" in self.normalisation.values():
            raise ValueError("intensity statistics of the data set are missing")
        return self


def read_info(path: Path) -> CheckpointInfo:
    """Read and validate the metadata of a checkpoint, without its weights.

    Raises
    ------
    CheckpointError
        If the file is missing, a pickle, truncated, of another program, of another architecture or
        of another format.
    """
    metadata = _metadata(path)
    if METADATA_KEY not in metadata:
        raise CheckpointError(f"{path}: not written by napari-ciml; choose a CIML checkpoint.")
    try:
        fields = json.loads(metadata[METADATA_KEY])
        _check_format(path, fields)
        info = CheckpointInfo.model_validate(fields)
        info.decomposition.validated()
    except (DecompositionError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: the checkpoint's description is damaged; get the file again."
        ) from error
    return info


def file_hash(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal, cached by path, time of change and size."""
    stat = path.stat()
    return _hash(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=16)
def _hash(path: Path, _mtime_ns: int, _size: int) -> str:
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
        # Checked last: the length at the start of a valid file may look like a pickle's magic.
        with path.open("rb") as file:
            is_pickle = file.read(4).startswith(_PICKLE_MAGIC)
        if is_pickle:
            raise CheckpointError(
                f"{path}: this is a pickle, which can run any code when it is opened; "
                "only .safetensors checkpoints are read."
            ) from error
        raise CheckpointError(
            f"{path}: this is not a complete .safetensors file; get it again."
        ) from error


def _check_format(path: Path, fields: dict[str, object]) -> None:
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
