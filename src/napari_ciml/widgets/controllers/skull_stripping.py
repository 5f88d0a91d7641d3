"""Say whether images show the skull, find the brain, remove the brain mask."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from psygnal import Signal

from napari_ciml.cases.case import Case
from napari_ciml.cases.skull_stripping import (
    BrainFinder,
    modalities_with_skull,
    skull_strip,
    with_brain_mask,
)
from napari_ciml.errors import CimlError
from napari_ciml.progress import ProgressMonitor
from napari_ciml.session.generation import Counter
from napari_ciml.session.loaded_case import LoadedCase
from napari_ciml.widgets.controllers import view_state
from napari_ciml.widgets.controllers.case_loading import CaseController
from napari_ciml.widgets.controllers.context import Context

STRIPPING, DETECTING = "Finding the brain", "Detecting the skull"
REMOVING = "Removing the brain mask"


class SkullStrippingController:
    """Adds a brain mask to the open case, and removes it.

    Parameters
    ----------
    context : Context
        Model, layers, display and jobs.
    cases : CaseController
        Shows the case.

    Attributes
    ----------
    with_skull : tuple of str
        Modalities of the open case that show the skull.
    enabled : bool
        Whether cases are searched for the skull when they are opened.

    Signals
    -------
    changed()
        Another case, or the search has ended.
    """

    changed = Signal()

    def __init__(self, context: Context, cases: CaseController) -> None:
        self.model, self.layers = context.model, context.layers
        self.display, self.jobs = context.display, context.jobs
        self.cases = cases
        self.enabled = True
        self.with_skull: tuple[str, ...] = ()
        self._images: object = None
        self._search = Counter()
        self.model.case_changed.connect(self._on_case)

    def strip(self, find_brain: BrainFinder) -> None:
        """Find the brain and leave everything else out of the network's input.

        Raises
        ------
        CimlError
            If no case is open.
        """
        loaded = self._require_case()

        def work(monitor: ProgressMonitor) -> LoadedCase:
            return replace(loaded, case=skull_strip(loaded.case, monitor, find_brain))

        self._submit(STRIPPING, work, loaded)

    def remove_mask(self) -> None:
        """Show the network whole heads again.

        Raises
        ------
        CimlError
            If no case is open.
        """
        loaded = self._require_case()
        unmasked = replace(loaded, case=with_brain_mask(loaded.case, None))
        self._submit(REMOVING, lambda _: unmasked, loaded)

    def _submit(
        self, title: str, work: Callable[[ProgressMonitor], LoadedCase], loaded: LoadedCase
    ) -> None:
        generation = self.model.generations.case.now()
        self.jobs.main.submit(
            title, work, lambda masked: self._show(loaded, masked), generation=generation
        )

    def _require_case(self) -> LoadedCase:
        if self.model.loaded is None:
            raise CimlError("Open a case first.")
        return self.model.loaded

    def _show(self, before: LoadedCase, now: LoadedCase) -> Iterator[None]:
        """Show the case with the same view as before."""
        if now.case is before.case:
            return
        layouts = self.display.layouts
        appearances = view_state.layer_appearances(self.layers, before.case, layouts)
        camera, layout = view_state.camera_state(self.layers.viewer, layouts), layouts.current
        yield from self.cases.show_single_plane(now)
        view_state.apply_layer_appearances(self.layers, now.case, appearances)
        yield
        if camera is not None:
            yield from view_state.apply_camera_state(self.layers.viewer, camera)
        layouts.arrange(layout)

    def _on_case(self) -> None:
        case = self.model.case
        if case is None:
            return
        if case.brain is None and case.images is not self._images and self.enabled:
            self._images, self.with_skull = case.images, ()
            self._search.advance()
            self._search_skull(case)
        self.changed.emit()

    def _search_skull(self, case: Case) -> None:
        def done(modalities: tuple[str, ...]) -> None:
            self.with_skull = modalities
            self.changed.emit()

        self.jobs.main.submit(
            DETECTING,
            lambda _: modalities_with_skull(case),
            done,
            generation=self._search.now(),
        )
