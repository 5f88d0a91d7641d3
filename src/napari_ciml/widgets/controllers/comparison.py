"""The controller of comparing: the label map looked at against another one."""

from functools import partial
from pathlib import Path

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_ciml.cases.case import Case
from napari_ciml.cases.reference import Reference, read_reference
from napari_ciml.decomposition.model import Region
from napari_ciml.errors import CimlError
from napari_ciml.metrics.agreement import AGREED, slice_of_largest_difference
from napari_ciml.session.findings import Comparison
from napari_ciml.widgets.controllers.label_maps import ActiveLabelMap
from napari_ciml.widgets.layers.label_maps import (
    displayed_slice,
    go_to,
    show_difference,
    show_reference,
)
from napari_ciml.widgets.layers.metadata import require_metadata

RUN_BEFORE = "the run before"


class ReferenceComparison(QObject):
    """Compares the label map looked at with a file, another label map, or another run.

    Parameters
    ----------
    measuring : Measuring
        Which says what is looked at; whenever it measures, the comparison follows.

    Attributes
    ----------
    shown : str or None
        The region whose difference is shown.

    Signals
    -------
    changed()
        There are others to compare with.
    """

    changed = Signal()

    def __init__(self, measuring: ActiveLabelMap) -> None:
        super().__init__()
        self.measuring = measuring
        self.model, self.layers = measuring.model, measuring.layers
        self.shown: str | None = None
        self._latest: Reference | None = None
        self._before: Reference | None = None
        measuring.began.connect(self._compare)
        self.model.segmentation_changed.connect(self._on_segmentation)
        self.model.case_changed.connect(self._forget)

    def compare_with(self, reference: Reference | None, shown: str | None = None) -> None:
        """Compare with something else, or with nothing; show a region's difference, or none."""
        self.shown = shown
        self.model.findings.set_reference(reference)
        if self.model.case is not None:
            show_difference(self.layers.viewer, self.model.case, None)
            show_reference(self.layers.viewer, self.model.case, reference)
        self.measuring.measure()

    def compare_with_file(self, path: Path) -> None:
        """Read a label map of the case and compare with it.

        Raises
        ------
        CimlError
            If no case is open.
        """
        case, regions = self.model.case, self.measuring.regions()
        if case is None:
            raise CimlError("Open a case first; the label map is brought onto its grid.")
        self.measuring.keeping.runner.submit(
            "Reading the reference",
            lambda _: read_reference(path, case, regions),
            self.measuring.drop_if_case_changed(case, self.compare_with),
        )

    def references(self) -> list[str]:
        """Return by which names `compare_with_named` knows what is already here."""
        looked_at, runs = self.measuring.current(), self.model.runs
        maps = [layer.name for layer in self.measuring.label_maps() if layer is not looked_at]
        others = [run.name for run in runs if run is not runs.current]
        return [*([RUN_BEFORE] if self._before is not None else []), *maps, *others]

    def compare_with_named(self, name: str) -> None:
        """Compare with the run before, another label map of the case, or a run by its name."""
        found = self._named(name)
        if found is not None:
            self.compare_with(found)

    def show_difference(self, region: str, *, go_there: bool = False) -> None:
        """Show where a region agrees with the reference and where not.

        With ``go_there``, if nothing differs in the slice looked at, turn to where most does.
        """
        found, case, viewer = self.model.findings.comparison, self.model.case, self.layers.viewer
        if found is None or case is None or region not in found.differences:
            return
        self.shown = region
        values = found.differences[region]
        show_difference(viewer, case, values, region)
        axis, seen = displayed_slice(viewer, case, values)
        if go_there and not (seen > AGREED).any():
            place = slice_of_largest_difference(values, axis)
            if place is not None:
                go_to(viewer, case, place)

    def hide_difference(self) -> None:
        """Show the label map again."""
        self.shown = None
        case, layer = self.model.case, self.measuring.current()
        if case is not None:
            show_difference(self.layers.viewer, case, None)
        if layer is not None:
            layer.visible = True

    def _named(self, name: str) -> Reference | None:
        if name == RUN_BEFORE:
            return self._before
        for layer in self.measuring.label_maps():
            if layer.name == name:
                means = require_metadata(layer).regions or self.model.decomposition.regions
                return Reference(name, np.array(layer.data), means)
        for run in self.model.runs:
            if run.name == name:
                made = run.segmentation
                labels = np.asarray(made.label_map)
                return Reference(name, labels, made.plan.decomposition.regions)
        return None

    def _compare(self, case: Case, labels: np.ndarray, regions: tuple[Region, ...]) -> None:
        findings, reference = self.model.findings, self.model.findings.reference
        if reference is None or not reference.regions:
            return
        work = partial(Comparison.compute, labels, regions, reference, case.grid)

        def done(found: Comparison) -> None:
            if findings.reference is reference:
                findings.set_comparison(found)
                if self.shown is not None:
                    self.show_difference(self.shown)

        self.measuring.runner.submit(
            "Comparing", work, self.measuring.drop_if_case_changed(case, done)
        )

    def _on_segmentation(self) -> None:
        run, before = self.model.segmentation, self._latest
        # The label map is kept, and not the run: that would be all of its messages as well.
        self._before = self._latest = None
        if run is not None:
            self._before = before
            self._latest = Reference(RUN_BEFORE, run.label_map, run.plan.decomposition.regions)
        self.changed.emit()

    def _forget(self) -> None:
        self.shown = None
