"""Confirm closing napari while a fine-tune is running."""

from weakref import ref

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

from napari_ciml.widgets.controllers.finetuning import FineTuneController


def outermost_window(widget: QWidget) -> QWidget:
    """Return the outermost parent of a widget; a floating dock is a window with a parent."""
    window = widget.window()
    while (parent := window.parentWidget()) is not None:
        window = parent
    return window


class CloseGuard(QObject):
    """Ask for confirmation when a window is closed during a fine-tune.

    Parameters
    ----------
    window : QWidget
        Window to watch.
    tuning : FineTuneController
        Controller of the fine-tune.
    owner : QObject
        Parent object; the guard is deleted with it.
    """

    def __init__(self, window: QWidget, tuning: FineTuneController, owner: QObject) -> None:
        super().__init__(owner)
        # A weak reference, so that the window can be freed.
        self.window, self.controller = ref(window), tuning
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Ignore a close event that the user does not confirm."""
        closing = event is not None and event.type() == QEvent.Type.Close
        if not closing or watched is not self.window() or not self.controller.running:
            return False
        yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
        answer = QMessageBox.question(
            self.window(),
            "A fine-tune is running",
            "Close anyway? The fine-tune stops; it can be resumed next time.",
            yes | no,
            no,
        )
        if answer == yes:
            self.controller.close()
            return False
        assert event is not None
        event.ignore()
        return True
