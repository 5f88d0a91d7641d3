"""The dialog that shows what a checkpoint is good for."""

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

from napari_ciml.network.checkpoint_info import CheckpointInfo
from napari_ciml.network.checkpoint_page import checkpoint_page

_SIZE = (640, 640)


class AboutCheckpoint(QDialog):
    """A page to read, beside the work.

    Parameters
    ----------
    parent : QWidget
        Over which it opens.
    info : CheckpointInfo
        What is shown.
    """

    def __init__(self, parent: QWidget, info: CheckpointInfo) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"About {info.name}")
        self.resize(*_SIZE)
        self.page = QTextBrowser()
        self.page.setToolTip("What this checkpoint needs, gives, reached, and where it fails.")
        self.page.setMarkdown(checkpoint_page(info))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.addWidget(self.page)
        column.addWidget(buttons)
