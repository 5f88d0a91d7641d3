"""Part of the dock widget *Case*: whether modalities lie on each other, and bringing them there."""

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_ciml.cases.alignment import Misalignment, checkerboard, detect_misalignment
from napari_ciml.cases.case import Case
from napari_ciml.cases.registration import RegistrationSettings
from napari_ciml.progress import ProgressMonitor
from napari_ciml.widgets.panels.common import WrappingLabel, button, label, row
from napari_ciml.widgets.panels.dock import Dock

if TYPE_CHECKING:
    from napari_ciml.widgets.controllers.case_loading import LoadedCase

_NO_BOARD = "no checkerboard"


class AlignPanel(QWidget):
    """Align, judge by a checkerboard, refuse.

    Parameters
    ----------
    dock : Dock
        Whose session it serves; it shows the errors, too.
    """

    JOBS = ("Aligning", "Checking the alignment", "Laying the checkerboard")

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock, self.session, self.model = dock, dock.session, dock.session.model
        self._before: LoadedCase | None = None
        self.kind = QComboBox()
        self.kind.addItems(["rigid", "affine"])
        self.kind.setToolTip("Rigid: turned and shifted. Affine: scaled and sheared as well.")
        self.align = button("Align", "Register the modalities to the reference, by their contents.")
        self.revert = button("As it was", "Take the alignment back.")
        self.checkerboard = QComboBox()
        self.checkerboard.setToolTip("A modality and the reference in turn: edges must go on.")
        self.notice = WrappingLabel()
        self.boards = QWidget()
        boards = row(label("Judge by"), self.checkerboard)
        self.boards.setLayout(boards)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.notice)
        column.addLayout(row(self.kind, self.align, self.revert))
        column.addWidget(self.boards)
        self.align.clicked.connect(self._align)
        self.revert.clicked.connect(self._refuse)
        self.checkerboard.activated.connect(lambda _: self._show_board())
        self.model.sources_changed.connect(self._show)
        self.model.case_changed.connect(self._case_changed)
        self._known: LoadedCase | None = None
        self._show()

    def _align(self) -> None:
        settings = RegistrationSettings(kind="affine" if self.kind.currentIndex() else "rigid")
        self.dock.run_intent(self.session.load, settings)

    def _refuse(self) -> None:
        before = self._before
        if before is not None:
            self.session.runner.submit("Aligning", lambda _: before, self.session.show)

    def _case_changed(self) -> None:
        now, last = self.session.loaded_case, self._known
        if now is None or now is last:
            return
        if last is not None and now.case.images is last.case.images:  # a brain mask came or went
            self._known = now
            return
        aligned = bool(now.case.transforms)
        refused = now is self._before
        if not aligned:
            self._before = None
        elif last is not None and not last.case.transforms and _same(last.case, now.case):
            self._before = last
        elif self._before is not None and not _same(self._before.case, now.case):
            self._before = None
        self._known = now
        self.notice.set_text("")
        self._show()
        if not aligned and not refused and len(now.case.images) > 1:
            self._check(now.case)

    def _check(self, case: Case) -> None:
        def work(monitor: ProgressMonitor) -> tuple[Misalignment, ...]:
            return detect_misalignment(case.images, case.grid, case.reference, monitor)

        def done(found: tuple[Misalignment, ...]) -> None:
            if self.model.case is case:
                self.notice.set_text("\n".join(map(str, found)))

        self.session.runner.submit("Checking the alignment", work, done)

    def _show(self) -> None:
        case = self.model.case
        self.align.setVisible(self.model.discovered is not None)
        self.kind.setVisible(self.model.discovered is not None)
        self.revert.setVisible(self._before is not None)
        others = [] if case is None else [m for m in case.images if m != case.reference]
        self.checkerboard.clear()
        self.checkerboard.addItem(_NO_BOARD)
        for name in others:
            self.checkerboard.addItem(name, (name, False))
            if self._before is not None and case is not None and name in case.transforms:
                self.checkerboard.addItem(f"{name} as it was", (name, True))
        self.boards.setVisible(bool(others))

    def _show_board(self) -> None:
        chosen, now = self.checkerboard.currentData(), self._known
        if chosen is None or now is None:
            self.session.layers.hide_checkerboard()
            return
        name, earlier = chosen
        source = self._before if earlier and self._before is not None else now
        case, title = now.case, self.checkerboard.currentText()

        def work(_: ProgressMonitor) -> np.ndarray:
            limits = now.limits[case.reference], source.limits[name]
            one, other = case.images[case.reference], source.case.images[name]
            return checkerboard(one, other, limits, case.grid)

        def done(values: np.ndarray) -> None:
            if self.model.case is case and self.checkerboard.currentText() == title:
                self.session.layers.show_checkerboard(case, values, f"{title} / {case.reference}")

        self.session.runner.submit("Laying the checkerboard", work, done)


def _same(one: Case, other: Case) -> bool:
    """Whether they are the same files on the same grid."""
    return one.sources == other.sources and one.reference == other.reference
