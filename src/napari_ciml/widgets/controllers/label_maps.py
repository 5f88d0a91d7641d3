"""The active label map: choose, measure, check and save it; show how certain the run is."""

from collections.abc import Callable
from pathlib import Path
from weakref import ref

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_ciml.cases.labels import to_smallest_dtype
from napari_ciml.cases.writing import write_on_native_grid
from napari_ciml.decomposition.model import Region
from napari_ciml.errors import CimlError
from napari_ciml.inference.uncertainty_maps import LARGEST, UncertaintyKind, uncertainty_map
from napari_ciml.lesions import Inventory, Lesion, detect_lesions
from napari_ciml.metrics.label_checks import LabelIssue, check_labels
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.generation import Counter
from napari_ciml.widgets.controllers.autosave import AutosaveController
from napari_ciml.widgets.controllers.context import Context
from napari_ciml.widgets.layers.calipers import draw_calipers, hide_calipers, slice_of
from napari_ciml.widgets.layers.label_maps import go_to, label_maps
from napari_ciml.widgets.layers.metadata import require_metadata

MEASURING, CHECKING = "Measuring", "Checking"
SAVING, COMPUTING_UNCERTAINTY = "Saving", "Computing the uncertainty"


class ActiveLabelMap:
    """The label map that the docks are about: chosen by the user, else that of the shown run.

    It is measured whenever it has changed; measurements of an older state are dropped.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    autosave : AutosaveController
        Tells when a label map was painted on.

    Signals
    -------
    changed()
        Another label map is active, or there are others to choose from.
    measured(Case, numpy.ndarray, tuple of Region, Generation)
        A label map of the case is being measured: (Z, Y, X) unsigned integers, the meaning of its
        values, and the generation of further jobs about it.
    """

    changed = Signal()
    measured = Signal(object, object, object, object)

    def __init__(self, context: Context, autosave: AutosaveController) -> None:
        self.model, self.layers, self.jobs = context.model, context.layers, context.jobs
        self._watched = False
        self._chosen: Callable[[], Labels | None] = lambda: None
        self._content = Counter()
        self.model.segmentation_changed.connect(self._on_segmentation)
        self.model.runs.changed.connect(self._on_layers)
        autosave.settled.connect(self.choose)
        events = self.layers.viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            event.connect(self._on_layers)

    @property
    def name(self) -> str | None:
        """Name of the label map that the user chose, if its layer is still there."""
        chosen = self._chosen()
        return chosen.name if chosen is not None and chosen in self.label_maps() else None

    def watch(self) -> None:
        """Measure from now on; called by the docks that show the findings."""
        if not self._watched:
            self._watched = True
            self.measure()

    def label_maps(self) -> list[Labels]:
        """Return the label maps of the case, the latest first."""
        case = self.model.case
        return label_maps(self.layers.viewer, case) if case is not None else []

    def current(self) -> Labels | None:
        """Return the active label map."""
        existing = self.label_maps()
        chosen = self._chosen()
        if chosen in existing:
            return chosen
        runs = [layer for layer in existing if require_metadata(layer).kind == "segmentation"]
        return next(iter(runs or existing), None)

    def choose(self, layer: Labels) -> None:
        """Make another label map the active one."""
        self._chosen = ref(layer)
        self.changed.emit()
        self.measure()

    def choose_named(self, name: str | None) -> None:
        """Make the label map of that name the active one, if there is one."""
        for layer in self.label_maps():
            if layer.name == name:
                self.choose(layer)

    def regions(self) -> tuple[Region, ...]:
        """Return the meaning of the values of the active label map."""
        layer = self.current()
        own = require_metadata(layer).regions if layer is not None else ()
        return own or self.model.decomposition.regions

    def measure(self) -> None:
        """Measure the active label map; comparisons with it follow."""
        model, layer, regions = self.model, self.current(), self.regions()
        case, segmentation = model.case, model.segmentation
        self._content.advance()
        if not self._watched or case is None or layer is None:
            return
        labels, generation = np.array(layer.data), self._content.now()

        def work(monitor: ProgressMonitor) -> Inventory:
            return detect_lesions(labels, regions, case.grid, segmentation, monitor)

        self.jobs.measure.submit(
            MEASURING, work, model.findings.set_inventory, generation=generation
        )
        self.measured.emit(case, labels, regions, generation)

    def show_probability(self, region: str) -> None:
        """Show the probability of a region as a layer, if it was segmented."""
        case, segmentation = self.model.case, self.model.segmentation
        if case is not None and segmentation is not None:
            self.layers.show_probability(case, segmentation, region)

    def show_uncertainty(self, region: str, kind: UncertaintyKind) -> None:
        """Show how uncertain the run is about a region, as a layer.

        Raises
        ------
        CimlError
            If nothing was segmented, or there is no uncertainty of this kind.
        """
        case, run = self.model.case, self.model.segmentation
        if case is None or run is None or region not in run.probabilities:
            raise CimlError("Segment the case first; then its uncertainty can be shown.")
        pairs = [pair for pair in run.pair_probabilities if pair.region == region]
        if kind == "disagreement" and len(pairs) < 2:
            raise CimlError(f"One segmentor alone predicts {region}; choose its uncertainty.")
        if kind == "spread" and run.uncertainty is None:
            raise CimlError("Nothing was sampled; say how many samples, and press Sample.")

        def done(values: np.ndarray | None) -> None:
            if values is not None:
                self.layers.show_uncertainty(case, values, (kind, region), LARGEST[kind])

        def work(_: ProgressMonitor) -> np.ndarray | None:
            return uncertainty_map(run, case, region, kind)

        generation = self.model.generations.case.now()
        self.jobs.io.submit(COMPUTING_UNCERTAINTY, work, done, generation=generation)

    def go_to(self, target: Lesion | LabelIssue) -> None:
        """Go to an issue, or to the slice where a lesion is longest, and draw its diameters."""
        case, viewer = self.model.case, self.layers.viewer
        if case is None:
            return
        voxel = target.voxel
        if isinstance(target, Lesion) and target.diameters.lines:
            draw_calipers(viewer, case, target.diameters)
            voxel = (slice_of(case, target.diameters), *voxel[1:])
        go_to(viewer, case, voxel)

    def hide_calipers(self) -> None:
        """Remove the diameters of a lesion."""
        hide_calipers(self.layers.viewer)

    def _on_segmentation(self) -> None:
        self._chosen = lambda: None
        self.changed.emit()
        self.measure()

    def _on_layers(self, *_: object) -> None:
        self.changed.emit()


class LabelMapChecks:
    """Checks and saves the active label map.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    label_maps : ActiveLabelMap
        The label map.
    """

    def __init__(self, context: Context, label_maps: ActiveLabelMap) -> None:
        self.model, self.jobs = context.model, context.jobs
        self.label_maps = label_maps

    def check(self, smallest_ml: float, done: Callable[[tuple[LabelIssue, ...]], None]) -> None:
        """Look for small components, holes and misplaced labels.

        Parameters
        ----------
        smallest_ml : float
            Components below this volume are issues.
        done : callable
            Called with the issues.

        Raises
        ------
        CimlError
            If there is no label map.
        """
        layer, regions = self._require_layer(), self.label_maps.regions()
        case, labels = require_metadata(layer).case, np.array(layer.data)

        def work(monitor: ProgressMonitor) -> tuple[LabelIssue, ...]:
            return check_labels(labels, regions, case.grid, smallest_ml, monitor)

        generation = self.model.generations.case.now()
        self.jobs.io.submit(CHECKING, work, done, generation=generation)

    def save(self, path: Path, done: Callable[[], None]) -> None:
        """Write the label map on the grid of its case's file.

        Raises
        ------
        CimlError
            If there is no label map.
        """
        layer = self._require_layer()
        case, labels = require_metadata(layer).case, np.array(layer.data)

        def work(_: ProgressMonitor) -> None:
            write_on_native_grid(path, to_smallest_dtype(labels), case)

        self.jobs.io.submit(SAVING, work, lambda _: done())

    def _require_layer(self) -> Labels:
        layer = self.label_maps.current()
        if layer is None:
            raise CimlError("Open a case and segment it, or paint a label map, first.")
        return layer
