"""Live curves of a fine-tune: losses and Dice."""

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

_COLOURS = {
    "Dice loss": "#4e79a7",
    "cross-entropy": "#f28e2b",
    "KL": "#59a14f",
    "Dice, corrected": "#e15759",
    "Dice, replay": "#b07aa1",
}
_HEIGHT, _LEGEND, _SMOOTH = 150, 34, 0.9


class TrainingCurves(QWidget):
    """Plot of losses and Dice over the elapsed fraction; each line has its own scale from 0."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(_HEIGHT)
        self.points: dict[str, list[tuple[float, float]]] = {}

    def clear(self) -> None:
        """Remove all points."""
        self.points = {name: [] for name in _COLOURS}
        self.update()

    def add(self, name: str, fraction: float, value: float) -> None:
        """Add a point; losses are smoothed exponentially."""
        line = self.points.setdefault(name, [])
        if line and not name.startswith("Dice,"):
            value = _SMOOTH * line[-1][1] + (1 - _SMOOTH) * value
        line.append((fraction, value))
        self.update()

    def paintEvent(self, _: QPaintEvent) -> None:  # noqa: N802
        """Draw legend and lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        left, line = 0.0, 12.0
        box = QRectF(2, _LEGEND, self.width() - 4, self.height() - _LEGEND - 4)
        painter.setPen(QPen(QColor("#808080"), 1))
        painter.drawRect(box)
        for name, colour in _COLOURS.items():
            width = 20 + painter.fontMetrics().horizontalAdvance(name)
            if left + width > self.width():
                left, line = 0.0, line + 16
            painter.fillRect(QRectF(left, line - 9, 9, 9), QColor(colour))
            painter.setPen(self.palette().text().color())
            painter.drawText(QPointF(left + 12, line), name)
            left += width
            self._draw(painter, self.points.get(name, []), QColor(colour), box, name)

    def _draw(
        self,
        painter: QPainter,
        points: list[tuple[float, float]],
        colour: QColor,
        box: QRectF,
        name: str,
    ) -> None:
        if not points:
            return
        top = 1.0 if name.startswith("Dice,") else max(value for _, value in points) or 1.0
        vertices = [
            QPointF(box.left() + fraction * box.width(), box.bottom() - value / top * box.height())
            for fraction, value in points
        ]
        painter.setPen(QPen(colour, 2))
        painter.drawPolyline(QPolygonF(vertices))
        if name.startswith("Dice,"):
            painter.setBrush(colour)
            for vertex in vertices:
                painter.drawEllipse(vertex, 3, 3)
            painter.setBrush(Qt.BrushStyle.NoBrush)
