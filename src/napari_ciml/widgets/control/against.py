"""The controller of comparing: the label map looked at against another one."""

from functools import partial
from pathlib import Path

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_ciml.cases.case import Case
from napari_ciml.cases.reference import Reference, read_reference
from napari_ciml.decomposition import Region
from napari_ciml.errors import CimlError
from napari_ciml.findings import Comparison
from napari_ciml.measures.agreement import AGREED, most_different
from napari_ciml.widgets.control.measuring import Measuring
from napari_ciml.widgets.layers.origin import known_origin
from napari_ciml.widgets.layers.reading import go_to, in_slice, show_difference, show_reference

RUN_BEFORE = "the run before"


class Against(QObject):
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

    def __init__(self, measuring: Measuring) -> None:
        super().__init__()
        self.measuring = measuring
        self.review, self.layers = measuring.review, measuring.layers
        self.shown: str | None = None
        self._latest: Reference | None = None
        self._before: Reference | None = None
        measuring.began.connect(self._compare)
        self.review.segmentation_changed.connect(self._on_segmentation)
        self.review.case_changed.connect(self._forget)

    def compare_with(self, reference: Reference | None, shown: str | None = None) -> None:
        """Compare with something else, or with nothing; show a region's difference, or none."""
        self.shown = shown
        self.review.findings.set_reference(reference)
        if self.review.case is not None:
            show_difference(self.layers.viewer, self.review.case, None)
            show_reference(self.layers.viewer, self.review.case, reference)
        self.measuring.measure()

    def compare_with_file(self, path: Path) -> None:
        """Read a label map of the case and compare with it.

        Raises
        ------
        CimlError
            If no case is open.
        """
        case, regions = self.review.case, self.measuring.regions()
        if case is None:
            raise CimlError("Open a case first; the label map is brought onto its grid.")
        self.measuring.keeping.runner.submit(
            "Reading the reference",
            lambda _: read_reference(path, case, regions),
            self.measuring.for_case(case, self.compare_with),
        )

    def references(self) -> list[str]:
        """Return by which names `compare_with_named` knows what is already here."""
        looked_at, runs = self.measuring.current(), self.review.runs
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
        found, case, viewer = self.review.findings.comparison, self.review.case, self.layers.viewer
        if found is None or case is None or region not in found.differences:
            return
        self.shown = region
        values = found.differences[region]
        show_difference(viewer, case, values, region)
        axis, seen = in_slice(viewer, case, values)
        if go_there and not (seen > AGREED).any():
            place = most_different(values, axis)
            if place is not None:
                go_to(viewer, case, place)

    def hide_difference(self) -> None:
        """Show the label map again."""
        self.shown = None
        case, layer = self.review.case, self.measuring.current()
        if case is not None:
            show_difference(self.layers.viewer, case, None)
        if layer is not None:
            layer.visible = True

    def _named(self, name: str) -> Reference | None:
        if name == RUN_BEFORE:
            return self._before
        for layer in self.measuring.label_maps():
            if layer.name == name:
                means = known_origin(layer).regions or self.review.decomposition.regions
                return Reference(name, np.array(layer.data), means)
        for run in self.review.runs:
            if run.name == name:
                made = run.segmentation
                labels = np.asarray(made.label_map)
                return Reference(name, labels, made.plan.decomposition.regions)
        return None

    def _compare(self, case: Case, labels: np.ndarray, regions: tuple[Region, ...]) -> None:
        findings, reference = self.review.findings, self.review.findings.reference
        if reference is None or not reference.regions:
            return
        work = partial(Comparison.of, labels, regions, reference, case.grid)

        def done(found: Comparison) -> None:
            if findings.reference is reference:
                findings.set_comparison(found)
                if self.shown is not None:
                    self.show_difference(self.shown)

        self.measuring.runner.submit("Comparing", work, self.measuring.for_case(case, done))

    def _on_segmentation(self) -> None:
        run, before = self.review.segmentation, self._latest
        # The label map is kept, and not the run: that would be all of its messages as well.
        self._before = self._latest = None
        if run is not None:
            self._before = before
            self._latest = Reference(RUN_BEFORE, run.label_map, run.plan.decomposition.regions)
        self.changed.emit()

    def _forget(self) -> None:
        self.shown = None
