"""Dialog that shows a Markdown page."""

from pathlib import Path

from qtpy.QtGui import QTextCursor
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

_SIZE = (640, 640)
_MARGIN = 60


class MarkdownDialog(QDialog):
    """Non-modal dialog with a Markdown page.

    Parameters
    ----------
    parent : QWidget
        Parent widget.
    title : str
        Window title.
    text : str
        Markdown text.
    folder : pathlib.Path, optional
        Folder of its images.
    """

    def __init__(self, parent: QWidget, title: str, text: str, folder: Path | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(*_SIZE)
        self.text = QTextBrowser()
        self.text.setSearchPaths([str(folder)] if folder is not None else [])
        self.text.setMarkdown(text)
        self._fit_pictures()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.addWidget(self.text)
        column.addWidget(buttons)

    def _fit_pictures(self) -> None:
        """Scale every image to the width of the page."""
        document = self.text.document()
        block = document.begin()
        while block.isValid():
            part = block.begin()
            while not part.atEnd():
                fragment = part.fragment()
                if fragment.charFormat().isImageFormat():
                    look = fragment.charFormat().toImageFormat()
                    look.setWidth(_SIZE[0] - _MARGIN)
                    cursor = QTextCursor(document)
                    cursor.setPosition(fragment.position())
                    end = fragment.position() + fragment.length()
                    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
                    cursor.setCharFormat(look)
                part += 1
            block = block.next()
