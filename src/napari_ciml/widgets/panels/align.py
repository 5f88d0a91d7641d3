"""Part of the dock widget *Case*: detect and correct misaligned modalities."""

from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_ciml.widgets.controllers.alignment import CHECKING, DRAWING
from napari_ciml.widgets.controllers.case_loading import ALIGNING
from napari_ciml.widgets.panels.common import WrappingLabel, button, label, row
from napari_ciml.widgets.panels.dock import Dock

_OFF = "off"


class AlignPanel(QWidget):
    """Register the modalities, check by a checkerboard, undo.

    Parameters
    ----------
    dock : Dock
        Dock widget that holds the panel and shows errors.
    """

    JOBS = (ALIGNING, CHECKING, DRAWING)

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.model, self.alignment = dock.model, dock.session.alignment
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
        self.align.clicked.connect(
            lambda: dock.run_intent(self.alignment.align, self.kind.currentText())
        )
        self.revert.clicked.connect(lambda: dock.run_intent(self.alignment.undo))
        self.checkerboard.activated.connect(lambda _: self._show_checkerboard())
        self.model.sources.changed.connect(self._show)
        self.alignment.changed.connect(self._show)
        self.alignment.misalignments_changed.connect(self._show_notice)
        self._show()

    def _show(self) -> None:
        case, before = self.model.case, self.alignment.before
        opened = self.model.sources.discovered is not None
        self.align.setVisible(opened)
        self.kind.setVisible(opened)
        self.revert.setVisible(before is not None)
        others = [] if case is None else [m for m in case.images if m != case.reference]
        self.checkerboard.clear()
        self.checkerboard.addItem(_OFF)
        for name in others:
            self.checkerboard.addItem(name, (name, False))
            if before is not None and case is not None and name in case.transforms:
                self.checkerboard.addItem(f"{name} (original)", (name, True))
        self.boards.setVisible(bool(others))

    def _show_notice(self) -> None:
        self.notice.set_text("\n".join(map(str, self.alignment.misalignments)))

    def _show_checkerboard(self) -> None:
        selected = self.checkerboard.currentData()
        if selected is None:
            self.alignment.hide_checkerboard()
        else:
            modality, before = selected
            title = self.checkerboard.currentText()
            self.alignment.show_checkerboard(modality, before=before, title=title)
