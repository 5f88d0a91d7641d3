"""Part of the dock widget *Case*: whether the images show the skull, and leaving it out."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ciml.cases.brain import (
    BrainFinder,
    brain_mask,
    brain_notice,
    skull_notice,
    unstripped,
    with_brain,
    with_brain_found,
)
from napari_ciml.cases.case import Case
from napari_ciml.errors import CimlError
from napari_ciml.inference.skull import deep_brain_mask, finds_deeply
from napari_ciml.monitor import Monitor
from napari_ciml.widgets.control import standing
from napari_ciml.widgets.panels.dock import Dock
from napari_ciml.widgets.panels.parts import Words, button, row

if TYPE_CHECKING:
    from napari_ciml.widgets.control.loaded import Loaded

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
        self.dock, self.session, self.review = dock, dock.session, dock.session.review
        self.quiet = False
        # What was looked at, and which modalities of it show the skull.
        self._images: object = None
        self._heads: tuple[str, ...] = ()
        self.notice = Words()
        self.find = button(
            "Find the brain", "Segment the brain alone; its border is shown to be looked at."
        )
        self.deep = button(
            "by network", "The same by deepbet's network, which has learnt from healthy adults."
        )
        self.drop = button("Whole head again", "Do without the brain mask.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.notice)
        column.addLayout(row(self.find, self.deep, self.drop))
        self.find.clicked.connect(lambda: dock.attempt(self._find, brain_mask))
        self.deep.clicked.connect(lambda: dock.attempt(self._find, deep_brain_mask))
        self.drop.clicked.connect(lambda: dock.attempt(self._drop))
        self.review.case_changed.connect(self._case_changed)
        self._show()

    def _find(self, find: BrainFinder) -> None:
        now = self._now()

        def work(monitor: Monitor) -> "Loaded":
            return replace(now, case=with_brain_found(now.case, monitor, find))

        self.session.runner.submit(FINDING, work, lambda found: self._shown(now, found))

    def _drop(self) -> None:
        now = self._now()
        whole = replace(now, case=with_brain(now.case, None))
        self.session.runner.submit(
            TAKING_BACK, lambda _: whole, lambda found: self._shown(now, found)
        )

    def _now(self) -> "Loaded":
        if self.session.loaded is None:
            raise CimlError("Open a case first.")
        return self.session.loaded

    def _shown(self, before: "Loaded", now: "Loaded") -> Iterator[None]:
        """Show the case as it is now, looked at as before."""
        layers, viewer = self.session.layers, self.session.layers.viewer
        if self.session.loaded is not before or now.case is before.case:
            return
        arranging = self.session.looking.arranging
        looks = standing.looks(layers, before.case, arranging)
        view, arranged = standing.view(viewer, arranging), arranging.now
        yield from self.session.put(now)
        standing.set_looks(layers, now.case, looks)
        yield
        if view is not None:
            yield from standing.set_view(viewer, view)
        arranging.arrange(arranged)

    def _case_changed(self) -> None:
        case = self.review.case
        if case is None:
            return
        if case.brain is None and case.images is not self._images and not self.quiet:
            self._images, self._heads = case.images, ()
            self._look(case)
        self._show()

    def _look(self, case: Case) -> None:
        def done(heads: tuple[str, ...]) -> None:
            if self._images is case.images:
                self._heads = heads
                self._show()

        self.session.runner.submit(LOOKING, lambda _: unstripped(case), done)

    def _show(self) -> None:
        case = self.review.case
        masked = case is not None and case.brain is not None
        offered = case is not None and not masked and bool(self._heads)
        self.find.setVisible(offered)
        self.deep.setVisible(offered and finds_deeply())
        self.drop.setVisible(masked)
        if case is not None and masked:
            self.notice.say(brain_notice(case))
        else:
            self.notice.say(f"{skull_notice(self._heads)}." if offered else "")
