"""Part of the dock widget *Case*: detect the skull and mask it out (skull stripping)."""

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ciml.cases.skull_stripping import brain_mask, brain_notice, skull_notice
from napari_ciml.inference.deepbet import deepbet_brain_mask, has_deepbet
from napari_ciml.widgets.controllers.skull_stripping import DETECTING, REMOVING, STRIPPING
from napari_ciml.widgets.panels.common import WrappingLabel, button, row
from napari_ciml.widgets.panels.dock import Dock


class BrainPanel(QWidget):
    """Report that the images show the skull, skull-strip them, undo.

    Parameters
    ----------
    dock : Dock
        Dock widget that holds the panel and shows errors.
    """

    JOBS = (STRIPPING, DETECTING, REMOVING)

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.model, self.stripping = dock.model, dock.session.skull_stripping
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
        strip, remove = self.stripping.strip, self.stripping.remove_mask
        self.find_brain.clicked.connect(lambda: dock.run_intent(strip, brain_mask))
        self.find_by_network.clicked.connect(lambda: dock.run_intent(strip, deepbet_brain_mask))
        self.remove_mask.clicked.connect(lambda: dock.run_intent(remove))
        self.stripping.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        case, with_skull = self.model.case, self.stripping.with_skull
        masked = case is not None and case.brain is not None
        offer = case is not None and not masked and bool(with_skull)
        self.find_brain.setVisible(offer)
        self.find_by_network.setVisible(offer and has_deepbet())
        self.remove_mask.setVisible(masked)
        if case is not None and masked:
            self.notice.set_text(brain_notice(case))
        else:
            self.notice.set_text(f"{skull_notice(with_skull)}." if offer else "")
