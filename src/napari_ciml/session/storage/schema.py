"""What ``session.json`` holds."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from napari_ciml.cases.transform import AffineTransform
from napari_ciml.decomposition.model import Decomposition, Region
from napari_ciml.inference.settings import RunOptions, SegmentSettings
from napari_ciml.inference.uncertainty_maps import UncertaintyKind
from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.session.findings import ReviewedLesion

FILE = "session.json"
FORMAT_VERSION = 1

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Triplet = tuple[float, float, float]

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

    largest: float
    strongest: tuple[str, str, str] | None
    notices: tuple[str, ...]
    maps: tuple[SavedMap, ...]


class SavedQuestion(_Frozen):
    """A question about a run, by its place in the history, and its answer."""

    name: str
    run: int
    explanation: SavedExplanation


class SavedMapView(_Frozen):
    """Which complementary-information map is shown, and how opaque; of a question, or of all."""

    question: int | None
    primary: str
    region: str
    auxiliary: str
    opacity: Annotated[float, Field(ge=0, le=1)]


class SavedOverlay(_Frozen):
    """What of a region is laid over the images: its probability, how unsure it is, a difference."""

    kind: Literal["probability", "difference"] | UncertaintyKind
    region: str

    @property
    def doubt(self) -> UncertaintyKind | None:
        """Which doubt it is, if it is one."""
        if self.kind == "probability":
            return None
        return None if self.kind == "difference" else self.kind


class SavedRunComparison(_Frozen):
    """Two runs that are compared, by their place in the history; in which region, and how."""

    first: Annotated[int, Field(ge=0)]
    second: Annotated[int, Field(ge=0)]
    region: str
    beside: bool


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


class LayerAppearance(_Frozen):
    """How a layer is looked at; ``kind`` and ``shows`` say which one it is."""

    kind: str
    shows: str
    visible: bool
    opacity: float
    limits: tuple[float, float] | None = None
    gamma: float | None = None
    colours: str | None = None
    contour: int | None = None


Arrangement = Literal["single", "panes", "planes"]
"""One plane, every modality in a pane of its own, or three planes."""


class CameraState(_Frozen):
    """Slices and camera, as they are with one plane, and the arrangement.

    Parameters
    ----------
    point : tuple of float
        Where the slices lie, (Z, Y, X) in mm.
    order : tuple of int
        Of the axes; the last two are on the screen.
    """

    point: Triplet
    order: tuple[int, int, int]
    ndisplay: Annotated[int, Field(ge=2, le=3)]
    centre: Triplet
    zoom: Annotated[float, Field(gt=0)]
    angles: Triplet
    arrangement: Arrangement = "single"


class SavedRequest(_Frozen):
    """The request of a segmentation."""

    decomposition: Decomposition
    options: RunOptions


class SavedSession(SavedRequest):
    """Everything; ``past`` and ``future`` are what undo and redo lead to, the next one last."""

    format_version: int = Field(default=FORMAT_VERSION, ge=1, le=FORMAT_VERSION)
    software: str
    name: str
    root: str
    reference: str
    sources: tuple[SavedSource, ...]
    motions: dict[str, AffineTransform]
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
    questions: tuple[SavedQuestion, ...] = ()
    shown: SavedMapView | None = None
    marks: tuple[ReviewedLesion, ...] = ()
    reference_labels: SavedReference | None = None
    active_label_map: str | None = None
    laid_over: SavedOverlay | None = None
    two_runs: SavedRunComparison | None = None
    looks: tuple[LayerAppearance, ...] = ()
    view: CameraState | None = None
