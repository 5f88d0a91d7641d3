"""Part of the dock widget *Case*: whether the images show the skull, and leaving it out."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ciml.cases.case import Case
from napari_ciml.cases.skull_stripping import (
    BrainFinder,
    brain_mask,
    brain_notice,
    modalities_with_skull,
    skull_notice,
    skull_strip,
    with_brain_mask,
)
from napari_ciml.errors import CimlError
from napari_ciml.inference.deepbet import deepbet_brain_mask, has_deepbet
from napari_ciml.progress import ProgressMonitor
from napari_ciml.widgets.controllers import view_state
from napari_ciml.widgets.panels.common import WrappingLabel, button, row
from napari_ciml.widgets.panels.dock import Dock

if TYPE_CHECKING:
    from napari_ciml.widgets.controllers.case_loading import LoadedCase

FINDING, LOOKING, TAKING_BACK = "Finding the brain", "Looking for the skull", "Showing whole heads"


class BrainPanel(QWidget):
    """Say that the skull is there, find the brain, take it back.

    Parameters
    ----------
    dock : Dock
        Whose session it serves; it shows the errors, too.

    Attributes
    ----------
    quiet : bool
        Say nothing of a skull.
    """

    JOBS = (FINDING, LOOKING, TAKING_BACK)

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock, self.session, self.model = dock, dock.session, dock.session.model
        self.silent = False
        # What was looked at, and which modalities of it show the skull.
        self._images: object = None
        self._heads: tuple[str, ...] = ()
        self.notice = WrappingLabel()
        self.find_brain = button(
            "Find the brain", "Segment the brain alone; its border is shown to be looked at."
        )
        self.find_by_network = button(
            "by network", "The same by deepbet's network, which has learnt from healthy adults."
        )
        self.remove_mask = button("Whole head again", "Do without the brain mask.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.notice)
        column.addLayout(row(self.find_brain, self.find_by_network, self.remove_mask))
        self.find_brain.clicked.connect(lambda: dock.run_intent(self._find, brain_mask))
        self.find_by_network.clicked.connect(
            lambda: dock.run_intent(self._find, deepbet_brain_mask)
        )
        self.remove_mask.clicked.connect(lambda: dock.run_intent(self._drop))
        self.model.case_changed.connect(self._case_changed)
        self._show()

    def _find(self, find: BrainFinder) -> None:
        now = self._now()

        def work(monitor: ProgressMonitor) -> "LoadedCase":
            return replace(now, case=skull_strip(now.case, monitor, find))

        self.session.runner.submit(FINDING, work, lambda found: self._shown(now, found))

    def _drop(self) -> None:
        now = self._now()
        whole = replace(now, case=with_brain_mask(now.case, None))
        self.session.runner.submit(
            TAKING_BACK, lambda _: whole, lambda found: self._shown(now, found)
        )

    def _now(self) -> "LoadedCase":
        if self.session.loaded_case is None:
            raise CimlError("Open a case first.")
        return self.session.loaded_case

    def _shown(self, before: "LoadedCase", now: "LoadedCase") -> Iterator[None]:
        """Show the case as it is now, looked at as before."""
        layers, viewer = self.session.layers, self.session.layers.viewer
        if self.session.loaded_case is not before or now.case is before.case:
            return
        arranging = self.session.display.layouts
        looks = view_state.layer_appearances(layers, before.case, arranging)
        view, arranged = view_state.camera_state(viewer, arranging), arranging.current
        yield from self.session.show_single_plane(now)
        view_state.apply_layer_appearances(layers, now.case, looks)
        yield
        if view is not None:
            yield from view_state.apply_camera_state(viewer, view)
        arranging.arrange(arranged)

    def _case_changed(self) -> None:
        case = self.model.case
        if case is None:
            return
        if case.brain is None and case.images is not self._images and not self.silent:
            self._images, self._heads = case.images, ()
            self._look(case)
        self._show()

    def _look(self, case: Case) -> None:
        def done(heads: tuple[str, ...]) -> None:
            if self._images is case.images:
                self._heads = heads
                self._show()

        self.session.runner.submit(LOOKING, lambda _: modalities_with_skull(case), done)

    def _show(self) -> None:
        case = self.model.case
        masked = case is not None and case.brain is not None
        offered = case is not None and not masked and bool(self._heads)
        self.find_brain.setVisible(offered)
        self.find_by_network.setVisible(offered and has_deepbet())
        self.remove_mask.setVisible(masked)
        if case is not None and masked:
            self.notice.set_text(brain_notice(case))
        else:
            self.notice.set_text(f"{skull_notice(self._heads)}." if offered else "")
