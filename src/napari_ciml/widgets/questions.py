"""Questions to the model: asked by a click, answered in the queue, kept, compared."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from psygnal import Signal

from napari_ciml.errors import CimlError
from napari_ciml.monitor import Monitor
from napari_ciml.whatif.question import Asking, Question, Voxel, about
from napari_ciml.widgets.origin import origin_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ciml.explanation.explain import Explanation
    from napari_ciml.widgets.session import Session

TITLE = "Asking why"

_LIMIT = 20


class Questions:
    """The questions that were asked of the segmentation that is shown.

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
    """

    changed = Signal()
    refused = Signal(str)

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.region: str | None = None
        self.one_voxel = False
        self.asked: tuple[Question, ...] = ()
        self.chosen: Question | None = None
        self._viewer = ref(session.layers.viewer)
        session.layers.viewer.mouse_drag_callbacks.append(self._pressed)
        session.review.explanation_changed.connect(self._drop_stale)

    @property
    def shown(self) -> "Explanation | None":
        """The answer that is shown."""
        return self.chosen.explanation if self.chosen else self.session.review.explanation

    def choose(self, question: Question | None) -> None:
        """Show the answer to a question; None is the whole case."""
        if question is not self.chosen:
            self.chosen = question
            self.changed.emit()

    def ask_at(self, voxel: Voxel) -> None:
        """Ask about the component, or the voxel, at a voxel (z, y, x) of the case.

        Raises
        ------
        CimlError
            If nothing is segmented, or there is nothing to ask about.
        """
        segmentation = self.session.review.segmentation
        layer = self.session.layers.segmentation()
        if segmentation is None or layer is None:
            raise CimlError("Segment the case first; then ask why.")
        regions = segmentation.plan.decomposition.regions
        labels = np.asarray(layer.data)
        self.ask(about(labels, regions, voxel, self.region, one_voxel=self.one_voxel))

    def ask(self, asking: Asking) -> None:
        """Ask why: maps and weights for voxels, from what the segmentation kept.

        Raises
        ------
        CimlError
            If nothing is segmented.
        """
        review = self.session.review
        case, path = self.session.ready()
        segmentation, device = review.segmentation, review.device
        if segmentation is None:
            raise CimlError("Segment the case first; then ask why.")

        def work(monitor: Monitor) -> Question:
            from napari_ciml.explanation.explain import explain
            from napari_ciml.widgets.session import load_checkpoint

            checkpoint = load_checkpoint(path)
            found = explain(case, checkpoint, segmentation, monitor, device, asking.masks)
            return Question(asking.name, found, segmentation)

        def done(question: Question) -> Iterator[None]:
            if review.segmentation is segmentation:
                others = [one for one in self.asked if one.name != question.name]
                self.asked = (*others[-_LIMIT + 1 :], question)
                self.chosen = question
                yield
                self.changed.emit()

        self.session.runner.submit(TITLE, work, done)

    def close(self) -> None:
        """Listen to the mouse no more."""
        viewer = self._viewer()
        if viewer is not None and self._pressed in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._pressed)

    def _drop_stale(self) -> None:
        """Drop the questions about another segmentation."""
        now = self.session.review.segmentation
        self.asked = tuple(one for one in self.asked if one.segmentation is now)
        if self.chosen not in self.asked:
            self.chosen = None
        self.changed.emit()

    def _pressed(self, viewer: "ViewerModel", event: Any) -> None:
        """Ask about what a shift-click on a layer of the case hits."""
        if list(event.modifiers) != ["Shift"] or event.button != 1:
            return
        case = self.session.review.case
        active = viewer.layers.selection.active
        found = origin_of(active) if active is not None else None
        if case is None or found is None or found.case is not case or viewer.dims.ndisplay != 2:
            return
        if active.mode not in ("pan_zoom", "pick"):
            return  # the brush is in the hand
        event.handled = True
        places = zip(event.position[-3:], case.grid.scale, case.grid.translate, strict=True)
        z, y, x = (round((mm - first) / step) for mm, step, first in places)
        try:
            self.ask_at((z, y, x))
        except CimlError as error:
            self.refused.emit(str(error))
