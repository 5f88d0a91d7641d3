"""Part of the dock widget *Case*: detect the skull and mask it out (skull stripping)."""

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

STRIPPING = "Finding the brain"
DETECTING = "Detecting the skull"
REMOVING = "Removing the brain mask"


class BrainPanel(QWidget):
    """Report that the images show the skull, skull-strip them, undo.

    Parameters
    ----------
    dock : Dock
        Dock widget that holds the panel and shows errors.

    Attributes
    ----------
    quiet : bool
        Do not look for a skull.
    """

    JOBS = (STRIPPING, DETECTING, REMOVING)

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock, self.session, self.model = dock, dock.session, dock.session.model
        self.silent = False
        # Images that were checked, and those of their modalities that show the skull.
        self._images: object = None
        self._with_skull: tuple[str, ...] = ()
        self.notice = WrappingLabel()
        self.find_brain = button(
            "Strip skull", "Skull stripping: find the brain mask and show its outline for review."
        )
        self.find_by_network = button(
            "Strip (deepbet)",
            "Skull stripping by the network of deepbet, trained on healthy adults.",
        )
        self.remove_mask = button(
            "Remove mask", "Remove the brain mask; the whole head is used again."
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.notice)
        column.addLayout(row(self.find_brain, self.find_by_network, self.remove_mask))
        self.find_brain.clicked.connect(lambda: dock.run_intent(self._strip, brain_mask))
        self.find_by_network.clicked.connect(
            lambda: dock.run_intent(self._strip, deepbet_brain_mask)
        )
        self.remove_mask.clicked.connect(lambda: dock.run_intent(self._remove))
        self.model.case_changed.connect(self._case_changed)
        self._show()

    def _strip(self, finder: BrainFinder) -> None:
        now = self._now()

        def work(monitor: ProgressMonitor) -> "LoadedCase":
            return replace(now, case=skull_strip(now.case, monitor, finder))

        self.session.runner.submit(
            STRIPPING, work, lambda stripped: self._show_loaded(now, stripped)
        )

    def _remove(self) -> None:
        now = self._now()
        unmasked = replace(now, case=with_brain_mask(now.case, None))
        self.session.runner.submit(
            REMOVING, lambda _: unmasked, lambda loaded: self._show_loaded(now, loaded)
        )

    def _now(self) -> "LoadedCase":
        if self.session.loaded_case is None:
            raise CimlError("Open a case first.")
        return self.session.loaded_case

    def _show_loaded(self, before: "LoadedCase", now: "LoadedCase") -> Iterator[None]:
        """Show the changed case with the previous view."""
        layers, viewer = self.session.layers, self.session.layers.viewer
        if self.session.loaded_case is not before or now.case is before.case:
            return
        layouts = self.session.display.layouts
        appearances = view_state.layer_appearances(layers, before.case, layouts)
        camera, layout = view_state.camera_state(viewer, layouts), layouts.current
        yield from self.session.show_single_plane(now)
        view_state.apply_layer_appearances(layers, now.case, appearances)
        yield
        if camera is not None:
            yield from view_state.apply_camera_state(viewer, camera)
        layouts.arrange(layout)

    def _case_changed(self) -> None:
        case = self.model.case
        if case is None:
            return
        if case.brain is None and case.images is not self._images and not self.silent:
            self._images, self._with_skull = case.images, ()
            self._detect(case)
        self._show()

    def _detect(self, case: Case) -> None:
        def on_done(with_skull: tuple[str, ...]) -> None:
            if self._images is case.images:
                self._with_skull = with_skull
                self._show()

        self.session.runner.submit(DETECTING, lambda _: modalities_with_skull(case), on_done)

    def _show(self) -> None:
        case = self.model.case
        masked = case is not None and case.brain is not None
        offer = case is not None and not masked and bool(self._with_skull)
        self.find_brain.setVisible(offer)
        self.find_by_network.setVisible(offer and has_deepbet())
        self.remove_mask.setVisible(masked)
        if case is not None and masked:
            self.notice.set_text(brain_notice(case))
        else:
            self.notice.set_text(f"{skull_notice(self._with_skull)}." if offer else "")
