"""The content of ``session.json``."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from napari_ciml.cases.transform import AffineTransform
from napari_ciml.decomposition.model import Decomposition, Region
from napari_ciml.inference.settings import RunOptions, SegmentSettings
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.session.findings import ReviewedLesion
from napari_ciml.session.view_state import (
    CameraState,
    LayerAppearance,
    SavedMapView,
    SavedOverlay,
    SavedRunComparison,
)

FILE = "session.json"
FORMAT_VERSION = 2

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

UncertaintyPart = Literal["mean", "entropy", "spread", "disagreement"]
UNCERTAINTY: tuple[UncertaintyPart, ...] = get_args(UncertaintyPart)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def is_session(path: Path) -> bool:
    """Whether a folder holds a saved session."""
    return (path / FILE).is_file()


class SavedSource(_Frozen):
    """A modality's file or series: where it was, and what was in it.

    Parameters
    ----------
    path, relative : str
        As it was opened, and from the session's folder; the second is tried where the first is
        gone, so that both can be moved together.
    channel : int or None
        Of a 4-D file.
    series : bool
        Whether it is a DICOM series, to be found by its title.
    sha256 : str
        Of the file, or of all files of a series.
    """

    path: str
    relative: str | None
    channel: int | None
    series: bool
    title: str
    modality: str
    sha256: Hash


class SavedVolume(_Frozen):
    """A NIfTI file of the session: its name, and the SHA-256 of its voxels."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9+_.-]+\.nii\.gz$")]
    sha256: Hash


class SavedMap(_Frozen):
    """A complementary-information map as it was computed, on the grid of the model, and its weight.

    The weight of a pair of zero maps is None.
    """

    primary: str
    region: str
    auxiliary: str
    weight: float | None
    volume: SavedVolume


class SavedExplanation(_Frozen):
    """Maps and weights of a run."""

    scale: float
    strongest: tuple[str, str, str] | None
    notices: tuple[str, ...]
    maps: tuple[SavedMap, ...]


class SavedAnswer(_Frozen):
    """An answered query about a run, by the index of the run in the history."""

    name: str
    run: int
    explanation: SavedExplanation


class SavedReference(_Frozen):
    """A label map that is compared with; attributes as of `Reference`."""

    name: str
    regions: tuple[Region, ...]
    conventions: tuple[str, ...]
    notices: tuple[str, ...]
    volume: SavedVolume


class SavedPair(_Frozen):
    """What one pair predicts, on the grid of the model."""

    primary: str
    region: str
    volume: SavedVolume


class SavedTiles(_Frozen):
    """Device and tiles of a run."""

    device: str
    shape: tuple[int, int, int]
    tile: tuple[int, int, int]
    starts: tuple[tuple[int, int, int], ...]


class SavedRun(_Frozen):
    """One segmentation of the case.

    Parameters
    ----------
    name : str
        In the history of runs.
    named : bool
        Whether the user gave the name.
    muted : tuple of (str, str)
        Messages the network knows and did not get, also for what the decomposition lacks.
    info : CheckpointInfo
        Of the checkpoint: with it, what the network saw is seen again.
    """

    name: str
    named: bool
    decomposition: Decomposition
    muted: tuple[tuple[str, str], ...]
    settings: SegmentSettings
    tiles: SavedTiles
    checkpoint: Hash
    info: CheckpointInfo
    engine: str
    device: str
    seconds: dict[str, float]
    peak_memory_mib: float
    notices: tuple[str, ...]
    volumes_ml: dict[str, float]
    labels: SavedVolume
    probabilities: dict[str, SavedVolume]
    pairs: tuple[SavedPair, ...]
    uncertainty: dict[UncertaintyPart, dict[str, SavedVolume]] | None
    sampled_ml: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    explanation: SavedExplanation | None = None


class SavedCorrection(_Frozen):
    """A label map that a person has painted on; ``current`` if it is the segmentation's own."""

    name: str
    current: bool
    regions: tuple[Region, ...]
    volume: SavedVolume


class SavedRequest(_Frozen):
    """The request of a segmentation."""

    decomposition: Decomposition
    options: RunOptions


class SavedSession(SavedRequest):
    """Everything; ``past`` and ``future`` are what undo and redo lead to, the next one last."""

    format_version: int = Field(default=FORMAT_VERSION, ge=FORMAT_VERSION, le=FORMAT_VERSION)
    software: str
    name: str
    root: str
    reference: str
    sources: tuple[SavedSource, ...]
    transforms: dict[str, AffineTransform]
    brain: SavedVolume | None = None
    past: tuple[SavedRequest, ...] = ()
    future: tuple[SavedRequest, ...] = ()
    live: bool | None = None
    grid: str | None = None
    checkpoint: str | None
    checkpoint_sha256: Hash | None
    device: str
    engine: str = "auto"
    current: int | None
    runs: tuple[SavedRun, ...]
    corrections: tuple[SavedCorrection, ...]
    answered: tuple[SavedAnswer, ...] = ()
    map_view: SavedMapView | None = None
    reviewed: tuple[ReviewedLesion, ...] = ()
    reference_labels: SavedReference | None = None
    active_label_map: str | None = None
    overlay: SavedOverlay | None = None
    run_comparison: SavedRunComparison | None = None
    appearances: tuple[LayerAppearance, ...] = ()
    camera: CameraState | None = None
