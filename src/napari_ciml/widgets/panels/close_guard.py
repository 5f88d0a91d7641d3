"""Asks before napari is closed in the middle of a fine-tune."""

from weakref import ref

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_ciml.widgets.controllers.finetuning import FineTuneController


class CloseGuard(QObject):
    """Watches a window.

    Parameters
    ----------
    window : QWidget
        That the user may close.
    tuning : Tuning
        That may be under way then.
    owner : QObject
        With which this ends.
    """

    def __init__(self, window: QWidget, tuning: FineTuneController, owner: QObject) -> None:
        super().__init__(owner)
        # Not the window itself: it would never be freed.
        self.window, self.controller = ref(window), tuning
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Hold back the closing that the user does not confirm."""
        closing = event is not None and event.type() == QEvent.Type.Close
        if not closing or watched is not self.window() or not self.controller.running:
            return False
        yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
        answer = QMessageBox.question(
            self.window(),
            "A fine-tune is under way",
            "Close all the same? It stops, and can be gone on with the next time.",
            yes | no,
            no,
        )
        if answer == yes:
            self.controller.close()
            return False
        assert event is not None
        event.ignore()
        return True
