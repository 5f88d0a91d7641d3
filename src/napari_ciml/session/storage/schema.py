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
    """File or DICOM series of a modality: its path and a hash of its content.

    Parameters
    ----------
    path, relative : str
        Absolute path, and path relative to the session's folder, which is tried second: so session
        and images can be moved together.
    channel : int or None
        Channel of a 4-D file.
    series : bool
        Whether it is a DICOM series, which is identified by its title.
    title : str
        Title of the source.
    modality : str
        Modality it is assigned to.
    sha256 : str
        SHA-256 of the file, or of all files of a series.
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
    """A complementary-information map on the model grid, and its weight.

    The weight is None if all maps of the pair are zero.
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
    """A reference label map; attributes as in `Reference`."""

    name: str
    regions: tuple[Region, ...]
    conventions: tuple[str, ...]
    notices: tuple[str, ...]
    volume: SavedVolume


class SavedPair(_Frozen):
    """Probability predicted by a pair, on the model grid."""

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
        Name in the history of runs.
    named : bool
        Whether the user gave the name.
    muted : tuple of (str, str)
        Muted messages of the network, including those that the decomposition lacks.
    info : CheckpointInfo
        Info of the checkpoint, needed to preprocess the case again.
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
    """An edited label map; ``current`` if it is that of the present segmentation."""

    name: str
    current: bool
    regions: tuple[Region, ...]
    volume: SavedVolume


class SavedRequest(_Frozen):
    """The request of a segmentation."""

    decomposition: Decomposition
    options: RunOptions


class SavedSession(SavedRequest):
    """A saved session; ``past`` and ``future`` are the undo and redo stacks, the next one last."""

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
