"""Explain the segmentation: of the whole case, of a lesion or a voxel, and by muting messages."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_ciml.decomposition.model import Pair
from napari_ciml.errors import CimlError
from napari_ciml.explanation.result import Explanation
from napari_ciml.lesions import Lesion
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.questions import (
    AnsweredQuery,
    ExplanationQuery,
    Voxel,
    lesion_query_title,
    query_at_voxel,
)
from napari_ciml.session.view_state import SavedMapView
from napari_ciml.widgets.controllers.checkpoint_cache import load_checkpoint
from napari_ciml.widgets.controllers.context import Context
from napari_ciml.widgets.controllers.map_overlay import RESAMPLING, MapOverlayController
from napari_ciml.widgets.layers.metadata import metadata_of, plugin_layers, voxel_at

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ciml.explanation.result import MutingEffect

EXPLAINING, EXPLAINING_EDIT = "Explaining", "Explaining the edit"
QUERYING, MUTING = "Asking why", "Measuring the sensitivity"
WHOLE_CASE = "the whole case"

_LIMIT = 20
"""Number of answered queries that are kept."""


class ExplanationController:
    """Explains the segmentation and keeps the answers.

    An answer is dropped with its run; an edit leaves it, so that answers before and after can be
    compared.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.

    Attributes
    ----------
    region : str or None
        Region that a shift-click asks about; None is the innermost at the voxel.
    one_voxel : bool
        Whether a shift-click asks about the voxel alone.
    answered : tuple of AnsweredQuery
        Oldest first.
    chosen : AnsweredQuery or None
        The answer that is shown; None is the whole case.
    sensitivity : tuple of MutingEffect or None
        What muting each message changes, once that was computed for the segmentation.
    map : MapOverlayController
        The map of the shown answer.

    Signals
    -------
    changed()
        Another answer is shown, or there are other answers.
    sensitivity_changed()
        ``sensitivity`` has another value.
    refused(str)
        Why a shift-click asked about nothing.
    """

    changed = Signal()
    sensitivity_changed = Signal()
    refused = Signal(str)

    def __init__(self, context: Context) -> None:
        self.model, self.layers, self.jobs = context.model, context.layers, context.jobs
        self.region: str | None = None
        self.one_voxel = False
        self.answered: tuple[AnsweredQuery, ...] = ()
        self.chosen: AnsweredQuery | None = None
        self.sensitivity: tuple[MutingEffect, ...] | None = None
        self.map = MapOverlayController(context)
        context.display.add_mouse_callback(self._on_click)
        self.model.segmentation_changed.connect(self._clear_sensitivity)
        self.model.explanation_changed.connect(self._drop_old_answers)

    @property
    def shown(self) -> Explanation | None:
        """The explanation that is shown."""
        return self.chosen.explanation if self.chosen else self.model.explanation

    @property
    def answer(self) -> AnsweredQuery | None:
        """The answer that is shown; that of the whole case as one."""
        return self.chosen or self.whole_case

    @property
    def whole_case(self) -> AnsweredQuery | None:
        """The explanation of the whole case as an answer, if there is one."""
        explanation, segmentation = self.model.explanation, self.model.segmentation
        if explanation is None or segmentation is None:
            return None
        return AnsweredQuery(WHOLE_CASE, explanation, segmentation)

    def title(self, answer: AnsweredQuery) -> str:
        """Return the title of an answer in lists: with its run, unless that is shown."""
        runs = self.model.runs
        run = runs.find(answer.segmentation)
        return answer.name if run is None or run is runs.current else f"{answer.name}, {run.name}"

    def explain(self) -> None:
        """Explain the whole case.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        self._submit_explanation(EXPLAINING)

    def explain_edit(self) -> None:
        """Explain the whole case again, after an edit that nobody explained; errors as `explain`.

        The job is stopped if there is another edit.
        """
        self._submit_explanation(EXPLAINING_EDIT, follows_edit=True)

    def ask_at(self, voxel: Voxel) -> None:
        """Ask about the connected component, or the voxel, at a voxel (z, y, x) of the case.

        Raises
        ------
        CimlError
            If nothing is segmented, or there is nothing to ask about.
        """
        _, _, segmentation = self.model.require_segmentation()
        layer = self.layers.segmentation()
        assert layer is not None
        regions = segmentation.plan.decomposition.regions
        labels = np.array(layer.data)  # while it is answered, the user may paint
        self.ask(query_at_voxel(labels, regions, voxel, self.region, one_voxel=self.one_voxel))

    def ask_about(self, lesion: Lesion) -> None:
        """Ask about a lesion of the list.

        Raises
        ------
        CimlError
            If nothing is segmented, or not the lesion's region.
        """
        case, _, segmentation = self.model.require_segmentation()
        region = lesion.region
        if region not in segmentation.plan.decomposition.region_names:
            raise CimlError(f"{region} was not segmented by this run; nothing explains it.")
        name = lesion_query_title(region, lesion.voxel)
        self.ask(ExplanationQuery(name, lambda: {region: lesion.mask_on(case.grid)}))

    def ask(self, query: ExplanationQuery) -> None:
        """Compute maps and weights for the voxels of a query, from the features of the run.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        case, path, segmentation = self.model.require_segmentation()

        def work(monitor: ProgressMonitor) -> AnsweredQuery:
            from napari_ciml.explanation.explain import explain

            result = explain(case, load_checkpoint(path), segmentation, monitor, query.masks)
            key = self.map.default_map(result)
            if key is not None:
                monitor.step(RESAMPLING)
                result.maps[key]
            return AnsweredQuery(query.name, result, segmentation)

        def done(answer: AnsweredQuery) -> Iterator[None]:
            others = [one for one in self.answered if not one.same_as(answer)]
            self.answered = (*others[-_LIMIT + 1 :], answer)
            self.chosen = answer
            yield
            self._show_answer()

        generation = self.model.generations.segmentation.now()
        self.jobs.main.submit(QUERYING, work, done, generation=generation)

    def choose(self, answer: AnsweredQuery | None) -> None:
        """Show an answer; None is the whole case."""
        if answer is not self.chosen:
            self.chosen = answer
            self._show_answer()

    def show_map(self, pair: Pair, auxiliary: str) -> None:
        """Show a map of the answer that is shown."""
        if self.shown is not None:
            self.map.show(self.shown, (pair, auxiliary))

    def measure_sensitivity(self) -> None:
        """Mute every message in turn and compute what that changes.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        case, path, segmentation = self.model.require_segmentation()

        def work(monitor: ProgressMonitor) -> "tuple[MutingEffect, ...]":
            from napari_ciml.explanation.sensitivity import sensitivity

            return sensitivity(case, load_checkpoint(path), segmentation, monitor)

        def done(effects: "tuple[MutingEffect, ...]") -> None:
            self.sensitivity = effects
            self.sensitivity_changed.emit()

        generation = self.model.generations.segmentation.now()
        self.jobs.main.submit(MUTING, work, done, generation=generation)

    def to_state(self) -> SavedMapView | None:
        """Return which map is shown, as it is saved."""
        layers = plugin_layers(self.layers.viewer, "map")
        if self.map.selected is None or not any(layer.visible for layer in layers):
            return None
        (primary, region), auxiliary = self.map.selected
        return SavedMapView(
            answer=self.answered.index(self.chosen) if self.chosen else None,
            primary=primary,
            region=region,
            auxiliary=auxiliary,
            opacity=self.map.opacity,
        )

    def from_state(self, answered: Sequence[AnsweredQuery], view: SavedMapView | None) -> None:
        """Restore answers and the map that was shown."""
        self.answered = tuple(answered)
        index = None if view is None else view.answer
        self.chosen = None if index is None else self.answered[index]
        self.map.selected = None
        if view is not None:
            self.map.opacity = view.opacity
        self.changed.emit()
        if view is not None:
            self.show_map(Pair(view.primary, view.region), view.auxiliary)

    def _submit_explanation(self, title: str, *, follows_edit: bool = False) -> None:
        case, path, segmentation = self.model.require_segmentation()

        def work(monitor: ProgressMonitor) -> Explanation:
            monitor.step("Loading the checkpoint")
            checkpoint = load_checkpoint(path)
            from napari_ciml.explanation.explain import explain

            return explain(case, checkpoint, segmentation, monitor)

        generations = self.model.generations
        counter = generations.request if follows_edit else generations.segmentation
        done = self.model.commit_explanation
        self.jobs.main.submit(title, work, done, generation=counter.now())

    def _clear_sensitivity(self) -> None:
        self.sensitivity = None
        self.sensitivity_changed.emit()

    def _drop_old_answers(self) -> None:
        """Drop answers about runs that are gone; one about another run is no longer shown."""
        model = self.model
        self.answered = tuple(one for one in self.answered if model.runs.find(one.segmentation))
        if self.chosen is not None and self.chosen.segmentation is not model.segmentation:
            self.chosen = None
        self._show_answer()

    def _show_answer(self) -> None:
        """Announce the answer, and show its map if one was shown or a query was asked."""
        self.changed.emit()
        key = self.map.default_map(self.shown)
        if key is None or (self.map.selected is None and self.chosen is None):
            self.map.select(None)
        else:
            self.show_map(*key)

    def _on_click(self, viewer: "ViewerModel", event: Any) -> None:
        """Ask about what a shift-click on a layer of the case hits."""
        if list(event.modifiers) != ["Shift"] or event.button != 1:
            return
        case = self.model.case
        active = self.layers.viewer.layers.selection.active
        metadata = metadata_of(active) if active is not None else None
        if case is None or metadata is None or metadata.case is not case:
            return
        if viewer.dims.ndisplay != 2 or active.mode not in ("pan_zoom", "pick"):
            return  # in 3-D there is no voxel under the mouse; in other modes the brush paints
        event.handled = True
        try:
            self.ask_at(voxel_at(case, event.position))
        except CimlError as error:
            self.refused.emit(str(error))
