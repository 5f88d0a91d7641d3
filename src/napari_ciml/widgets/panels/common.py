"""Small pieces that several dock widgets use."""

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QTableWidget,
    QWidget,
)

from napari_ciml.widgets.panels.readable_colours import readable

ERROR_COLOUR = "#ff6b6b"
QUIET_COLOUR = "#9aa0a6"


class WrappingLabel(QLabel):
    """Text that wraps, can be selected, and takes no room when it is empty."""

    def __init__(self, text: str = "", colour: str | None = None) -> None:
        super().__init__(text)
        self._colour = colour
        self.setWordWrap(True)
        allowed = Qt.TextInteractionFlag
        self.setTextInteractionFlags(allowed.TextSelectableByMouse | allowed.LinksAccessibleByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setVisible(bool(text))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Stay readable when the theme changes."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._recolour()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Be readable on what it is shown on."""
        super().showEvent(event)
        self._recolour()

    def _recolour(self) -> None:
        if self._colour:
            found = readable(self._colour, self.palette().window().color()).name()
            style = f"color: {found}"
            if style != self.styleSheet():
                self.setStyleSheet(style)

    def set_text(self, text: str) -> None:
        """Show a text; an empty one hides the label."""
        self.setText(text)
        self.setVisible(bool(text))


def button(text: str, tip: str) -> QPushButton:
    """Return a push button with a tooltip."""
    made = QPushButton(text)
    made.setToolTip(tip)
    return made


def label(text: str) -> QLabel:
    """Return a short text that keeps its width."""
    made = QLabel(text)
    made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
    return made


def row(*widgets: QWidget, widest: int | None = None) -> QHBoxLayout:
    """Return widgets side by side; ``widest`` says which one takes the room that is left."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    if widest is not None:
        layout.setStretch(widest, 1)
    return layout


def table(*columns: str) -> QTableWidget:
    """Return an empty table whose columns share the width, so that nothing scrolls sideways."""
    made = QTableWidget(0, len(columns))
    made.setHorizontalHeaderLabels(columns)
    made.verticalHeader().setVisible(False)
    made.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    made.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    made.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    return made
