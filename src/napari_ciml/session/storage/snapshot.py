"""A review session in memory, as it is saved and as it is found again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.discovery import DiscoveredCase
from napari_ciml.cases.reference import Reference
from napari_ciml.decomposition.model import Region
from napari_ciml.session.findings import ReviewedLesion
from napari_ciml.session.questions import AnsweredQuery
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.runs import Run
from napari_ciml.session.storage.schema import (
    CameraState,
    LayerAppearance,
    SavedMapView,
    SavedOverlay,
    SavedRunComparison,
)


@dataclass(frozen=True, eq=False)
class EditedLabelMap:
    """A label map that a person has painted on.

    Parameters
    ----------
    name : str
        Of its layer.
    labels : numpy.ndarray
        (Z, Y, X) unsigned integers on the case grid.
    current : bool
        Whether it is the present segmentation, or one set aside.
    regions : tuple of Region
        What its values mean; empty if nobody has said so.
    """

    name: str
    labels: np.ndarray
    current: bool
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, eq=False)
class SessionSnapshot:
    """A review session.

    Parameters
    ----------
    scan, case
        What was opened.
    asked, checkpoint, device, engine, live
        What is asked for, whether or not a run has followed; ``live`` None leaves it as it is.
    past, future : sequence of Asked
        What undo and redo lead to, the next one last.
    runs : sequence of Run
        The history, oldest first.
    current : int or None
        Which of them is shown.
    corrections : sequence of Painted
        What was painted.
    questions, shown
        What was asked of the runs, and which map of which answer is seen.
    grid : str or None
        The modality on whose voxels results are exported.
    reference : Reference or None
        What the label map is compared with.
    looked_at : str or None
        The label map that is measured, by its layer's name, if it is not the latest run's.
    laid_over : LaidOver or None
        What of a region is seen over the images, if it is no map.
    two_runs : TwoRuns or None
        Which runs are compared.
    marks, looks, view
        What was seen, and how the window stood.
    """

    scan: DiscoveredCase
    modalities: tuple[str | None, ...]
    case: Case
    asked: SegmentationRequest
    checkpoint: Path | None
    device: str
    runs: Sequence[Run]
    current: int | None
    corrections: Sequence[EditedLabelMap]
    marks: tuple[ReviewedLesion, ...] = ()
    looks: tuple[LayerAppearance, ...] = ()
    view: CameraState | None = None
    past: Sequence[SegmentationRequest] = ()
    future: Sequence[SegmentationRequest] = ()
    engine: str = "auto"
    live: bool | None = None
    questions: Sequence[AnsweredQuery] = ()
    shown: SavedMapView | None = None
    grid: str | None = None
    reference: Reference | None = None
    looked_at: str | None = None
    laid_over: SavedOverlay | None = None
    two_runs: SavedRunComparison | None = None
