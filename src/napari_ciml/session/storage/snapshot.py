"""The state of a review session in memory, as it is saved and opened."""

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
from napari_ciml.session.view_state import (
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
        Name of its layer.
    labels : numpy.ndarray
        (Z, Y, X) unsigned integers on the case grid.
    current : bool
        Whether it is the present segmentation, or an earlier one.
    regions : tuple of Region
        The regions of its values; empty if unknown.
    """

    name: str
    labels: np.ndarray
    current: bool
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, eq=False)
class SessionSnapshot:
    """State of a review session.

    Parameters
    ----------
    discovered, modalities, case
        The volumes of the folder, the modality of each (None leaves it out), and the case.
    request, checkpoint, device, engine, live
        The present request, whether or not a run has followed; ``live`` None leaves it as it is.
    past, future : sequence of SegmentationRequest
        Requests that undo and redo return to, the next one last.
    runs : sequence of Run
        The history, oldest first.
    current : int or None
        Index of the run that is shown.
    corrections : sequence of EditedLabelMap
        Label maps that a person has painted on.
    answered : sequence of AnsweredQuery
        Answered queries about the runs.
    map_view : SavedMapView or None
        Which map of which answer is shown.
    grid : str or None
        The modality on whose voxels results are exported.
    reviewed : tuple of ReviewedLesion
        Lesions that are marked as reviewed.
    reference : Reference or None
        What the label map is compared with.
    active_label_map : str or None
        Name of the layer that the user chose, if any.
    overlay : SavedOverlay or None
        What of a region is shown over the images, if it is no map.
    run_comparison : SavedRunComparison or None
        The runs that are compared.
    appearances, camera
        Appearance of the layers; slices, camera and layout.
    """

    discovered: DiscoveredCase
    modalities: tuple[str | None, ...]
    case: Case
    request: SegmentationRequest
    checkpoint: Path | None
    device: str
    runs: Sequence[Run]
    current: int | None
    corrections: Sequence[EditedLabelMap]
    reviewed: tuple[ReviewedLesion, ...] = ()
    appearances: tuple[LayerAppearance, ...] = ()
    camera: CameraState | None = None
    past: Sequence[SegmentationRequest] = ()
    future: Sequence[SegmentationRequest] = ()
    engine: str = "auto"
    live: bool | None = None
    answered: Sequence[AnsweredQuery] = ()
    map_view: SavedMapView | None = None
    grid: str | None = None
    reference: Reference | None = None
    active_label_map: str | None = None
    overlay: SavedOverlay | None = None
    run_comparison: SavedRunComparison | None = None
