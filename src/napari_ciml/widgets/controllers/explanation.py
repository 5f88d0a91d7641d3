"""Questions to the model: asked by a click, answered in the queue, kept."""

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
from napari_ciml.session.storage.schema import SavedMapView
from napari_ciml.widgets.controllers.map_shown import MapOverlayController
from napari_ciml.widgets.layers.metadata import metadata_of, plugin_layers, voxel_at

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ciml.widgets.controllers.session import Session

TITLE = "Asking why"
WHOLE = "the whole case"

_LIMIT = 20


class ExplanationController:
    """The questions that were asked of the runs of the case.

    One is dropped with its run; an edit leaves them, so that answers before and after it can be
    compared.

    Parameters
    ----------
    session : Session
        Who answers.

    Attributes
    ----------
    region : str or None
        Which region a click asks about; None is the innermost there.
    one_voxel : bool
        Whether a click asks about the voxel alone.
    asked : tuple of Question
        Oldest first.
    chosen : Question or None
        The one that is shown; None is the whole case.
    map : MapShown
        Of the answer that is shown.
    """

    changed = Signal()
    refused = Signal(str)

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.region: str | None = None
        self.one_voxel = False
        self.answered: tuple[AnsweredQuery, ...] = ()
        self.chosen: AnsweredQuery | None = None
        self.map = MapOverlayController(session)
        session.display.add_mouse_callback(self._pressed)
        session.model.explanation_changed.connect(self._drop_stale)

    @property
    def shown(self) -> Explanation | None:
        """The answer that is shown."""
        return self.chosen.explanation if self.chosen else self.session.model.explanation

    def title(self, question: AnsweredQuery) -> str:
        """Return what a question is called in lists: with its run, if another one is shown."""
        runs = self.session.model.runs
        run = runs.find(question.segmentation)
        return question.name if run in (None, runs.current) else f"{question.name}, {run.name}"

    @property
    def answer(self) -> AnsweredQuery | None:
        """The question that is shown with its answer, or the whole case as one."""
        return self.chosen or self.whole

    @property
    def whole(self) -> AnsweredQuery | None:
        """The whole case as a question, if it was explained."""
        model = self.session.model
        if model.explanation is None or model.segmentation is None:
            return None
        return AnsweredQuery(WHOLE, model.explanation, model.segmentation)

    def choose(self, question: AnsweredQuery | None) -> None:
        """Show the answer to a question; None is the whole case."""
        if question is not self.chosen:
            self.chosen = question
            self._follow()

    def ask_at(self, voxel: Voxel) -> None:
        """Ask about the component, or the voxel, at a voxel (z, y, x) of the case.

        Raises
        ------
        CimlError
            If nothing is segmented, or there is nothing to ask about.
        """
        _, _, segmentation = self.session.segmentation.require_segmentation()
        layer = self.session.layers.segmentation()
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
        case, _, made = self.session.segmentation.require_segmentation()
        if lesion.region not in made.plan.decomposition.region_names:
            raise CimlError(f"{lesion.region} was not segmented by this run; nothing explains it.")
        name = lesion_query_title(lesion.region, lesion.voxel)
        self.ask(ExplanationQuery(name, lambda: {lesion.region: lesion.mask_on(case.grid)}))

    def ask(self, asking: ExplanationQuery) -> None:
        """Ask why: maps and weights for voxels, from what the segmentation kept.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        model = self.session.model
        case, path, segmentation = self.session.segmentation.require_segmentation()

        def work(monitor: ProgressMonitor) -> AnsweredQuery:
            from napari_ciml.explanation.explain import explain
            from napari_ciml.widgets.controllers.checkpoint_cache import load_checkpoint

            checkpoint = load_checkpoint(path)
            found = explain(case, checkpoint, segmentation, monitor, asking.masks)
            wanted = self.map.default_map(found)
            if wanted is not None:
                monitor.step("Placing the map")
                found.maps[wanted]
            return AnsweredQuery(asking.name, found, segmentation)

        def done(question: AnsweredQuery) -> Iterator[None]:
            if model.segmentation is segmentation:
                others = [one for one in self.answered if not one.same_as(question)]
                self.answered = (*others[-_LIMIT + 1 :], question)
                self.chosen = question
                yield
                self._follow()

        self.session.runner.submit(TITLE, work, done)

    def show_map(self, pair: Pair, auxiliary: str) -> None:
        """Show a map of the answer that is shown."""
        if self.shown is not None:
            self.map.show(self.shown, (pair, auxiliary))

    def to_state(self) -> SavedMapView | None:
        """Return which map is seen, as it is saved."""
        there = plugin_layers(self.session.layers.viewer, "map")
        if self.map.marked is None or not any(layer.visible for layer in there):
            return None
        (primary, region), auxiliary = self.map.marked
        return SavedMapView(
            question=self.answered.index(self.chosen) if self.chosen else None,
            primary=primary,
            region=region,
            auxiliary=auxiliary,
            opacity=self.map.opacity,
        )

    def from_state(self, asked: Sequence[AnsweredQuery], seen: SavedMapView | None) -> None:
        """Take questions and show a map, as when a session is opened again."""
        self.answered = tuple(asked)
        question = None if seen is None else seen.question
        self.chosen = None if question is None else self.answered[question]
        self.map.marked = None
        if seen is not None:
            self.map.opacity = seen.opacity
        self.changed.emit()
        if seen is not None:
            self.show_map(Pair(seen.primary, seen.region), seen.auxiliary)

    def _drop_stale(self) -> None:
        """Drop questions about runs that are gone; one about another run is no longer shown."""
        model = self.session.model
        self.answered = tuple(one for one in self.answered if model.runs.find(one.segmentation))
        if self.chosen is not None and self.chosen.segmentation is not model.segmentation:
            self.chosen = None
        self._follow()

    def _follow(self) -> None:
        """Tell of another answer, and show its map if one was shown or a question was asked."""
        self.changed.emit()
        wanted = self.map.default_map(self.shown)
        if wanted is None or (self.map.marked is None and self.chosen is None):
            self.map.mark(None)
        else:
            self.show_map(*wanted)

    def _pressed(self, viewer: "ViewerModel", event: Any) -> None:
        """Ask about what a shift-click on a layer of the case hits."""
        if list(event.modifiers) != ["Shift"] or event.button != 1:
            return
        case = self.session.model.case
        active = self.session.layers.viewer.layers.selection.active
        found = metadata_of(active) if active is not None else None
        if case is None or found is None or found.case is not case or viewer.dims.ndisplay != 2:
            return
        if active.mode not in ("pan_zoom", "pick"):
            return  # the brush is in the hand
        event.handled = True
        try:
            self.ask_at(voxel_at(case, event.position))
        except CimlError as error:
            self.refused.emit(str(error))
