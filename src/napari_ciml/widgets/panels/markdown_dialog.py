"""A dialog with a page to read beside the work."""

from pathlib import Path

from qtpy.QtGui import QTextCursor
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget

_SIZE = (640, 640)
_MARGIN = 60


class MarkdownDialog(QDialog):
    """A page to read.

    Parameters
    ----------
    parent : QWidget
        Over which it opens.
    title : str
        Of the window.
    text : str
        In Markdown.
    folder : pathlib.Path, optional
        Where its pictures are.
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
        """Draw every picture as wide as the page; Markdown has no word for it."""
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
