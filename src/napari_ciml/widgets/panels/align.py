"""Part of the dock widget *Case*: detect and correct misaligned modalities."""

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

_OFF = "off"


class AlignPanel(QWidget):
    """Register the modalities, check by a checkerboard, undo.

    Parameters
    ----------
    dock : Dock
        Dock widget that holds the panel and shows errors.
    """

    JOBS = ("Aligning", "Checking the alignment", "Laying the checkerboard")

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock, self.session, self.model = dock, dock.session, dock.session.model
        self._before: LoadedCase | None = None
        self.kind = QComboBox()
        self.kind.addItems(["rigid", "affine"])
        self.kind.setToolTip(
            "Transform. Rigid: rotation and translation. Affine: also scaling and shearing."
        )
        self.align = button(
            "Align", "Register all modalities to the reference by mutual information."
        )
        self.revert = button("Undo", "Undo the registration.")
        self.checkerboard = QComboBox()
        self.checkerboard.setToolTip(
            "Checkerboard of a modality and the reference: edges must continue across tiles."
        )
        self.notice = WrappingLabel()
        self.boards = QWidget()
        boards = row(label("Checkerboard"), self.checkerboard)
        self.boards.setLayout(boards)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.notice)
        column.addLayout(row(self.kind, self.align, self.revert))
        column.addWidget(self.boards)
        self.align.clicked.connect(self._align)
        self.revert.clicked.connect(self._undo)
        self.checkerboard.activated.connect(lambda _: self._show_board())
        self.model.sources_changed.connect(self._show)
        self.model.case_changed.connect(self._case_changed)
        self._loaded: LoadedCase | None = None
        self._show()

    def _align(self) -> None:
        settings = RegistrationSettings(kind="affine" if self.kind.currentIndex() else "rigid")
        self.dock.run_intent(self.session.load, settings)

    def _undo(self) -> None:
        before = self._before
        if before is not None:
            self.session.runner.submit("Aligning", lambda _: before, self.session.show)

    def _case_changed(self) -> None:
        current, last = self.session.loaded_case, self._loaded
        if current is None or current is last:
            return
        if (
            last is not None and current.case.images is last.case.images
        ):  # only the brain mask changed
            self._loaded = current
            return
        aligned = bool(current.case.transforms)
        undone = current is self._before
        if not aligned:
            self._before = None
        elif last is not None and not last.case.transforms and _same(last.case, current.case):
            self._before = last
        elif self._before is not None and not _same(self._before.case, current.case):
            self._before = None
        self._loaded = current
        self.notice.set_text("")
        self._show()
        if not aligned and not undone and len(current.case.images) > 1:
            self._check(current.case)

    def _check(self, case: Case) -> None:
        def work(monitor: ProgressMonitor) -> tuple[Misalignment, ...]:
            return detect_misalignment(case.images, case.grid, case.reference, monitor)

        def on_done(misalignments: tuple[Misalignment, ...]) -> None:
            if self.model.case is case:
                self.notice.set_text("\n".join(map(str, misalignments)))

        self.session.runner.submit("Checking the alignment", work, on_done)

    def _show(self) -> None:
        case = self.model.case
        self.align.setVisible(self.model.discovered is not None)
        self.kind.setVisible(self.model.discovered is not None)
        self.revert.setVisible(self._before is not None)
        others = [] if case is None else [m for m in case.images if m != case.reference]
        self.checkerboard.clear()
        self.checkerboard.addItem(_OFF)
        for name in others:
            self.checkerboard.addItem(name, (name, False))
            if self._before is not None and case is not None and name in case.transforms:
                self.checkerboard.addItem(f"{name} (original)", (name, True))
        self.boards.setVisible(bool(others))

    def _show_board(self) -> None:
        selected, current = self.checkerboard.currentData(), self._loaded
        if selected is None or current is None:
            self.session.layers.hide_checkerboard()
            return
        name, original = selected
        source = self._before if original and self._before is not None else current
        case, title = current.case, self.checkerboard.currentText()

        def work(_: ProgressMonitor) -> np.ndarray:
            limits = current.limits[case.reference], source.limits[name]
            one, other = case.images[case.reference], source.case.images[name]
            return checkerboard(one, other, limits, case.grid)

        def on_done(values: np.ndarray) -> None:
            if self.model.case is case and self.checkerboard.currentText() == title:
                self.session.layers.show_checkerboard(case, values, f"{title} / {case.reference}")

        self.session.runner.submit("Laying the checkerboard", work, on_done)


def _same(one: Case, other: Case) -> bool:
    """Return whether two cases have the same files and the same reference."""
    return one.sources == other.sources and one.reference == other.reference
