"""The controller of measuring: lesions and regions of the label map looked at."""

from collections.abc import Callable
from weakref import ref

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Region
from napari_ciml.errors import CimlError
from napari_ciml.inference.uncertainty_maps import LARGEST, UncertaintyKind, uncertainty_map
from napari_ciml.lesions import Inventory, Lesion, detect_lesions
from napari_ciml.metrics.label_checks import LabelIssue
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.controllers.autosave import AutosaveController
from napari_ciml.widgets.jobs import JobRunner
from napari_ciml.widgets.layers.calipers import draw_calipers, hide_calipers, slice_of
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.label_maps import go_to, label_maps
from napari_ciml.widgets.layers.metadata import require_metadata


class ActiveLabelMap(QObject):
    """Measures the label map that is looked at, whenever it has changed.

    The newest question wins: what is still being measured of an older label map is given up.

    Signals
    -------
    changed()
        Another label map is looked at, or there are others to choose from.
    began(Case, numpy.ndarray, tuple of Region)
        A label map of the case is measured, (Z, Y, X) unsigned integers, and what its values mean.
    """

    changed = Signal()
    began = Signal(object, object, object)

    def __init__(
        self, model: SessionModel, layers: CaseLayers, keeping: AutosaveController
    ) -> None:
        super().__init__()
        self.model, self.layers, self.keeping = model, layers, keeping
        self.runner = JobRunner(self)
        self._watched = False
        self._chosen: Callable[[], Labels | None] = lambda: None
        model.segmentation_changed.connect(self._on_segmentation)
        model.runs.changed.connect(self._on_layers)
        keeping.settled.connect(self.choose)
        events = layers.viewer.layers.events
        for happened in (events.inserted, events.removed, events.renamed):
            happened.connect(self._on_layers)

    def watch(self) -> None:
        """Measure from now on; called by the widgets that show the findings."""
        if not self._watched:
            self._watched = True
            self.measure()

    def label_maps(self) -> list[Labels]:
        """Return the label maps that can be looked at, the latest first."""
        case = self.model.case
        return label_maps(self.layers.viewer, case) if case is not None else []

    def current(self) -> Labels | None:
        """Return the label map looked at: as chosen, else the latest run's."""
        there = self.label_maps()
        chosen = self._chosen()
        if chosen in there:
            return chosen
        runs = [layer for layer in there if require_metadata(layer).kind == "segmentation"]
        return next(iter(runs or there), None)

    @property
    def name(self) -> str | None:
        """The name of the label map that was chosen, if it is still there."""
        chosen = self._chosen()
        return chosen.name if chosen is not None and chosen in self.label_maps() else None

    def choose_named(self, name: str | None) -> None:
        """Look at the label map of that name, if there is one."""
        for layer in self.label_maps():
            if layer.name == name:
                self.choose(layer)

    def choose(self, layer: Labels) -> None:
        """Look at another label map."""
        self._chosen = ref(layer)
        self.changed.emit()
        self.measure()

    def regions(self) -> tuple[Region, ...]:
        """Return what the values of the label map mean."""
        layer = self.current()
        own = require_metadata(layer).regions if layer is not None else ()
        return own or self.model.decomposition.regions

    def measure(self) -> None:
        """Measure the label map looked at; who compares it does so afterwards."""
        model, layer, regions = self.model, self.current(), self.regions()
        case, run = model.case, model.segmentation
        self.runner.cancel()
        if not self._watched or case is None or layer is None:
            return
        labels = np.array(layer.data)

        def lesions(monitor: ProgressMonitor) -> Inventory:
            return detect_lesions(labels, regions, case.grid, run, monitor)

        self.runner.submit(
            "Measuring", lesions, self.drop_if_case_changed(case, model.findings.set_inventory)
        )
        self.began.emit(case, labels, regions)

    def show_doubt(self, region: str, kind: UncertaintyKind) -> None:
        """Show how unsure the run is of a region.

        Raises
        ------
        CimlError
            If nothing was segmented, or a single segmentor cannot disagree.
        """
        case, run = self.model.case, self.model.segmentation
        if case is None or run is None or region not in run.probabilities:
            raise CimlError("Segment the case first; then it can be said how sure that is.")
        if (
            kind == "disagreement"
            and sum(pair.region == region for pair in run.pair_probabilities) < 2
        ):
            raise CimlError(f"One segmentor alone predicts {region}; choose its uncertainty.")
        if kind == "spread" and run.uncertainty is None:
            raise CimlError("Nothing was sampled; say how many samples, and press Sample.")

        def show(values: np.ndarray) -> None:
            self.layers.show_uncertainty(case, values, (kind, region), LARGEST[kind])

        self.keeping.runner.submit(
            "Asking how sure",
            lambda _: uncertainty_map(run, case, region, kind),
            self.drop_if_case_changed(case, show),
        )

    def go_to(self, place: Lesion | LabelIssue) -> None:
        """Turn slice and camera to a fault, or to where a lesion is longest, and draw how long."""
        case, viewer = self.model.case, self.layers.viewer
        if case is None:
            return
        voxel = place.voxel
        if isinstance(place, Lesion) and place.diameters.lines:
            draw_calipers(viewer, case, place.diameters)
            voxel = (slice_of(case, place.diameters), *voxel[1:])
        go_to(viewer, case, voxel)

    def hide_calipers(self) -> None:
        """Take away what was drawn of a lesion."""
        hide_calipers(self.layers.viewer)

    def drop_if_case_changed(
        self, case: Case, done: Callable[..., None]
    ) -> Callable[[object], None]:
        """Drop an answer whose case is no longer open."""
        return lambda found: done(found) if self.model.case is case else None

    def _on_segmentation(self) -> None:
        self._chosen = lambda: None
        self.changed.emit()
        self.measure()

    def _on_layers(self, *_: object) -> None:
        self.changed.emit()
