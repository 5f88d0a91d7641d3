"""Two runs compared: as contours over one modality or side by side, and in numbers."""

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_ciml.errors import CimlError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.comparison import LabelMapDiff, diff_label_maps
from napari_ciml.session.runs import Run
from napari_ciml.session.storage.schema import SavedRunComparison
from napari_ciml.widgets.layers.run_comparison import hide_compared, show_contours, show_label_maps

if TYPE_CHECKING:
    from napari_ciml.widgets.controllers.session import Session

TITLE = "Comparing two runs"


class RunComparison:
    """Compares two runs of the case.

    Parameters
    ----------
    session : Session
        Whose runs.

    Attributes
    ----------
    pair : tuple of Run, or None
        The two.
    found : Change or None
        How the second differs from the first.
    region : str
        Whose contours are shown.
    beside : bool
        Whether the two label maps are shown side by side instead of contours.
    """

    changed = Signal()

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.pair: tuple[Run, Run] | None = None
        self.found: LabelMapDiff | None = None
        self.region = ""
        self.side_by_side = False
        session.model.case_changed.connect(self._forget)
        session.model.segmentation_changed.connect(self.end)
        session.display.changed.connect(self._arranged)

    def seen(self) -> SavedRunComparison | None:
        """Return what is compared, as it is saved."""
        if self.pair is None:
            return None
        # A run that was explained or renamed meanwhile is another one, of the same segmentation.
        places = {id(run.segmentation): k for k, run in enumerate(self.session.model.runs)}
        first, second = (places.get(id(run.segmentation)) for run in self.pair)
        if first is None or second is None:
            return None
        return SavedRunComparison(
            first=first, second=second, region=self.region, beside=self.side_by_side
        )

    def put(self, seen: SavedRunComparison) -> None:
        """Compare what was compared, as when a session is opened again."""
        runs = self.session.model.runs
        self.region = seen.region
        self.compare(runs[seen.first], runs[seen.second], beside=seen.beside)

    def compare(self, first: Run, second: Run, *, beside: bool = False) -> None:
        """Compare two runs, as contours or side by side.

        Raises
        ------
        CimlError
            If they have no region in common.
        """
        case = self.session.model.case
        wholes = [run.segmentation.plan.decomposition for run in (first, second)]
        if case is None or not set(wholes[0].region_names) & set(wholes[1].region_names):
            raise CimlError("These two runs have no region in common; choose two others.")

        def work(_: ProgressMonitor) -> LabelMapDiff:
            labels = [np.asarray(run.segmentation.label_map) for run in (first, second)]
            regions = (wholes[0].regions, wholes[1].regions)
            words = (second.name, first.name)
            return diff_label_maps(labels[0], labels[1], regions, case.grid.voxel_ml, words)

        def done(found: LabelMapDiff) -> None:
            if self.session.model.case is case:
                self.set_beside(False)
                self.pair, self.found = (first, second), found
                self.show(
                    self.region if self.region in found.regions else next(iter(found.regions))
                )
                self.set_beside(beside)

        self.session.runner.submit(TITLE, work, done)

    def show(self, region: str) -> None:
        """Show a region's two contours."""
        case, pair = self.session.model.case, self.pair
        if case is None or pair is None or self.found is None:
            return
        self.region = region
        if self.side_by_side:
            self.changed.emit()
            return
        masks, names = [], []
        for run in pair:
            labels = run.segmentation.plan.decomposition.region(region).labels
            masks.append(np.isin(run.segmentation.label_map, labels))
            names.append(f"{region} in {run.name}")
        viewer = self.session.layers.viewer
        show_contours(viewer, case, (masks[0], masks[1]), (names[0], names[1]))
        self.changed.emit()

    def set_beside(self, beside: bool) -> None:
        """Show the two label maps side by side over the modality looked at, or contours."""
        case, pair, looking = self.session.model.case, self.pair, self.session.display
        modality = looking.active_modality()
        if case is None or pair is None or modality is None or beside == self.side_by_side:
            return
        if beside:
            maps = [
                (run.name, np.asarray(made.label_map), made.plan.decomposition.regions)
                for run in pair
                for made in (run.segmentation,)
            ]
            first, second = show_label_maps(self.session.layers.viewer, case, maps)
            looking.layouts.pair(modality, first, second)
            self.side_by_side = True
            self.changed.emit()
        else:
            self.side_by_side = False
            looking.layouts.arrange("single")
            self.show(self.region)

    def end(self) -> None:
        """Take contours and label maps away."""
        if self.pair is not None:
            if self.side_by_side:
                self.session.display.layouts.arrange("single")
            self._forget()
            hide_compared(self.session.layers.viewer)

    def _arranged(self) -> None:
        """Show contours again when something else was arranged instead of two label maps."""
        if self.side_by_side and not self.session.display.layouts.shows_pair:
            self.side_by_side = False
            self.show(self.region)

    def _forget(self) -> None:
        self.pair = self.found = None
        self.side_by_side = False
        self.changed.emit()
