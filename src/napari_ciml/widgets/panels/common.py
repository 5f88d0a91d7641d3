"""Labels, buttons, rows and tables that dock widgets share."""

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QFormLayout,
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
    """Label that wraps, whose text can be selected, hidden while it is empty."""

    def __init__(self, text: str = "", colour: str | None = None) -> None:
        super().__init__(text)
        self._colour = colour
        self.setWordWrap(True)
        allowed = Qt.TextInteractionFlag
        self.setTextInteractionFlags(allowed.TextSelectableByMouse | allowed.LinksAccessibleByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setVisible(bool(text))

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        """Adapt the text colour when the theme changes."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            self._recolour()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Adapt the text colour to the background."""
        super().showEvent(event)
        self._recolour()

    def _recolour(self) -> None:
        if self._colour:
            colour = readable(self._colour, self.palette().window().color()).name()
            style = f"color: {colour}"
            if style != self.styleSheet():
                self.setStyleSheet(style)

    def set_text(self, text: str) -> None:
        """Set the text; an empty one hides the label."""
        self.setText(text)
        self.setVisible(bool(text))


def button(text: str, tip: str) -> QPushButton:
    """Return a push button with a tooltip."""
    widget = QPushButton(text)
    widget.setToolTip(tip)
    return widget


def label(text: str) -> QLabel:
    """Return a label of fixed width."""
    widget = QLabel(text)
    widget.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
    return widget


def row(*widgets: QWidget, widest: int | None = None) -> QHBoxLayout:
    """Return a horizontal layout; the widget at index ``widest`` takes the remaining width."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    if widest is not None:
        layout.setStretch(widest, 1)
    return layout


def form_layout() -> QFormLayout:
    """Return an empty layout of labels and fields, whose fields take the remaining width."""
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return layout


def centred(widget: QWidget) -> QWidget:
    """Return a widget with another one at its centre, for the cell of a table."""
    container = QWidget()
    layout = row(widget)
    layout.setAlignment(Qt.AlignmentFlag.AlignCenter)
    container.setLayout(layout)
    return container


def table(*columns: str) -> QTableWidget:
    """Return an empty read-only table whose columns share the width."""
    widget = QTableWidget()
    set_up_table(widget, *columns)
    return widget


def set_up_table(widget: QTableWidget, *columns: str) -> None:
    """Set the columns of an empty table, make it read-only, and let columns share the width."""
    widget.setColumnCount(len(columns))
    widget.setHorizontalHeaderLabels(columns)
    widget.verticalHeader().setVisible(False)
    widget.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    widget.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    widget.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
