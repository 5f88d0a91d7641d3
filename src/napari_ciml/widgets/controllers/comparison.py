"""Compare two runs with each other, and the active label map with a reference."""

from functools import partial
from pathlib import Path

import numpy as np
from psygnal import Signal

from napari_ciml.cases.case import Case
from napari_ciml.cases.reference import Reference, read_reference
from napari_ciml.decomposition.model import Region
from napari_ciml.errors import CimlError
from napari_ciml.metrics.agreement import AGREED, slice_of_largest_difference
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.comparison import Comparison, LabelMapDiff, diff_label_maps
from napari_ciml.session.generation import Generation
from napari_ciml.session.runs import Run
from napari_ciml.session.view_state import SavedRunComparison
from napari_ciml.widgets.controllers.context import Context
from napari_ciml.widgets.controllers.label_maps import ActiveLabelMap
from napari_ciml.widgets.layers.label_maps import (
    displayed_slice,
    go_to,
    show_difference,
    show_reference,
)
from napari_ciml.widgets.layers.metadata import require_metadata
from napari_ciml.widgets.layers.run_comparison import hide_compared, show_contours, show_label_maps

COMPARING_RUNS, COMPARING, READING = "Comparing two runs", "Comparing", "Reading the reference"
RUN_BEFORE = "previous run"


class RunComparison:
    """Compares two runs of the case: as contours over one modality, side by side, in numbers.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.

    Attributes
    ----------
    pair : tuple of Run, or None
        The two runs.
    diff : LabelMapDiff or None
        How the second differs from the first.
    region : str
        Region whose contours are shown.
    side_by_side : bool
        Whether the two label maps are shown side by side instead of contours.

    Signals
    -------
    changed()
        One of them has changed.
    """

    changed = Signal()

    def __init__(self, context: Context) -> None:
        self.model, self.layers = context.model, context.layers
        self.display, self.jobs = context.display, context.jobs
        self.pair: tuple[Run, Run] | None = None
        self.diff: LabelMapDiff | None = None
        self.region = ""
        self.side_by_side = False
        self.model.case_changed.connect(self._clear)
        self.model.segmentation_changed.connect(self.end)
        self.display.changed.connect(self._on_layout)

    def to_state(self) -> SavedRunComparison | None:
        """Return what is compared, as it is saved."""
        if self.pair is None:
            return None
        # A run that was explained or renamed is another object, with the same segmentation.
        indices = {id(run.segmentation): k for k, run in enumerate(self.model.runs)}
        first, second = (indices.get(id(run.segmentation)) for run in self.pair)
        if first is None or second is None:
            return None
        return SavedRunComparison(
            first=first, second=second, region=self.region, side_by_side=self.side_by_side
        )

    def from_state(self, state: SavedRunComparison) -> None:
        """Compare the two runs that were compared when the session was saved."""
        runs = self.model.runs
        self.region = state.region
        self.compare(runs[state.first], runs[state.second], side_by_side=state.side_by_side)

    def compare(self, first: Run, second: Run, *, side_by_side: bool = False) -> None:
        """Compare two runs, as contours or side by side.

        Raises
        ------
        CimlError
            If they have no region in common.
        """
        case = self.model.case
        one, other = (run.segmentation.plan.decomposition for run in (first, second))
        if case is None or not set(one.region_names) & set(other.region_names):
            raise CimlError("These two runs have no region in common; choose two others.")

        def work(_: ProgressMonitor) -> LabelMapDiff:
            labels = [np.asarray(run.segmentation.label_map) for run in (first, second)]
            regions, names = (one.regions, other.regions), (second.name, first.name)
            return diff_label_maps(labels[0], labels[1], regions, case.grid.voxel_ml, names)

        def done(diff: LabelMapDiff) -> None:
            self.set_side_by_side(False)
            self.pair, self.diff = (first, second), diff
            self.show(self.region if self.region in diff.regions else next(iter(diff.regions)))
            self.set_side_by_side(side_by_side)

        generation = self.model.generations.case.now()
        self.jobs.main.submit(COMPARING_RUNS, work, done, generation=generation)

    def show(self, region: str) -> None:
        """Show the two contours of a region."""
        case, pair = self.model.case, self.pair
        if case is None or pair is None or self.diff is None:
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
        show_contours(self.layers.viewer, case, (masks[0], masks[1]), (names[0], names[1]))
        self.changed.emit()

    def set_side_by_side(self, side_by_side: bool) -> None:
        """Show the two label maps side by side over the active modality, or contours."""
        case, pair, modality = self.model.case, self.pair, self.display.active_modality()
        if case is None or pair is None or modality is None or side_by_side == self.side_by_side:
            return
        if side_by_side:
            maps = [(run.name, *_label_map(run)) for run in pair]
            first, second = show_label_maps(self.layers.viewer, case, maps)
            self.display.layouts.pair(modality, first, second)
            # Only now: the layout before it, which is announced as well, would end it.
            self.side_by_side = True
            self.changed.emit()
        else:
            self.side_by_side = False
            self.display.layouts.arrange("single")
            self.show(self.region)

    def end(self) -> None:
        """Remove contours and label maps."""
        if self.pair is not None:
            if self.side_by_side:
                self.display.layouts.arrange("single")
            self._clear()
            hide_compared(self.layers.viewer)

    def _on_layout(self) -> None:
        """Show contours again when another layout took the place of the two label maps."""
        if self.side_by_side and not self.display.layouts.shows_pair:
            self.side_by_side = False
            self.show(self.region)

    def _clear(self) -> None:
        self.pair = self.diff = None
        self.side_by_side = False
        self.changed.emit()


class ReferenceComparison:
    """Compares the active label map with a file, another label map, or another run.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    label_maps : ActiveLabelMap
        The label map that is compared; whenever it is measured, it is compared again.

    Attributes
    ----------
    shown : str or None
        Region whose difference is shown.

    Signals
    -------
    changed()
        There are other references to choose from.
    """

    changed = Signal()

    def __init__(self, context: Context, label_maps: ActiveLabelMap) -> None:
        self.model, self.layers, self.jobs = context.model, context.layers, context.jobs
        self.label_maps = label_maps
        self.shown: str | None = None
        self._latest: Reference | None = None
        self._before: Reference | None = None
        label_maps.measured.connect(self._compare)
        self.model.segmentation_changed.connect(self._on_segmentation)
        self.model.case_changed.connect(self._on_case)

    def compare_with(self, reference: Reference | None, shown: str | None = None) -> None:
        """Compare with another reference, or none; show the difference of a region, or none."""
        self.shown = shown
        self.model.findings.set_reference(reference)
        if self.model.case is not None:
            show_difference(self.layers.viewer, self.model.case, None)
            show_reference(self.layers.viewer, self.model.case, reference)
        self.label_maps.measure()

    def compare_with_file(self, path: Path) -> None:
        """Read a label map of the case and compare with it.

        Raises
        ------
        CimlError
            If no case is open.
        """
        case, regions = self.model.case, self.label_maps.regions()
        if case is None:
            raise CimlError("Open a case first; the label map is brought onto its grid.")
        self.jobs.io.submit(
            READING,
            lambda _: read_reference(path, case, regions),
            self.compare_with,
            generation=self.model.generations.case.now(),
        )

    def references(self) -> list[str]:
        """Return the names that `compare_with_named` accepts."""
        active, runs = self.label_maps.current(), self.model.runs
        maps = [layer.name for layer in self.label_maps.label_maps() if layer is not active]
        others = [run.name for run in runs if run is not runs.current]
        return [*([RUN_BEFORE] if self._before is not None else []), *maps, *others]

    def compare_with_named(self, name: str) -> None:
        """Compare with the run before, another label map of the case, or a run by its name."""
        reference = self._named(name)
        if reference is not None:
            self.compare_with(reference)

    def show_difference(self, region: str, *, go_there: bool = False) -> None:
        """Show where a region agrees with the reference and where not.

        With ``go_there``, if nothing differs in the displayed slice, go to where most does.
        """
        comparison, case = self.model.findings.comparison, self.model.case
        if comparison is None or case is None or region not in comparison.differences:
            return
        self.shown = region
        viewer, values = self.layers.viewer, comparison.differences[region]
        show_difference(viewer, case, values, region)
        axis, displayed = displayed_slice(viewer, case, values)
        if go_there and not (displayed > AGREED).any():
            voxel = slice_of_largest_difference(values, axis)
            if voxel is not None:
                go_to(viewer, case, voxel)

    def hide_difference(self) -> None:
        """Show the label map again."""
        self.shown = None
        case, layer = self.model.case, self.label_maps.current()
        if case is not None:
            show_difference(self.layers.viewer, case, None)
        if layer is not None:
            layer.visible = True

    def _named(self, name: str) -> Reference | None:
        if name == RUN_BEFORE:
            return self._before
        for layer in self.label_maps.label_maps():
            if layer.name == name:
                regions = require_metadata(layer).regions or self.model.decomposition.regions
                return Reference(name, np.array(layer.data), regions)
        for run in self.model.runs:
            if run.name == name:
                return Reference(name, *_label_map(run))
        return None

    def _compare(
        self, case: Case, labels: np.ndarray, regions: tuple[Region, ...], generation: Generation
    ) -> None:
        findings, reference = self.model.findings, self.model.findings.reference
        if reference is None or not reference.regions:
            return
        work = partial(Comparison.compute, labels, regions, reference, case.grid)

        def done(comparison: Comparison) -> None:
            findings.set_comparison(comparison)
            if self.shown is not None:
                self.show_difference(self.shown)

        self.jobs.measure.submit(COMPARING, work, done, generation=generation)

    def _on_segmentation(self) -> None:
        segmentation, before = self.model.segmentation, self._latest
        # The label map is kept, not the run: that would keep all of its features as well.
        self._before = self._latest = None
        if segmentation is not None:
            self._before = before
            regions = segmentation.plan.decomposition.regions
            self._latest = Reference(RUN_BEFORE, segmentation.label_map, regions)
        self.changed.emit()

    def _on_case(self) -> None:
        self.shown = None


def _label_map(run: Run) -> tuple[np.ndarray, tuple[Region, ...]]:
    segmentation = run.segmentation
    return np.asarray(segmentation.label_map), segmentation.plan.decomposition.regions
