"""The chart of complementary-information weights: one bar per pair, one segment per auxiliary."""

from collections.abc import Mapping

from qtpy.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QToolTip, QWidget

from napari_ciml.decomposition import Pair
from napari_ciml.export.report import PALETTE

_BAR, _GAP, _NAMES, _LEGEND = 18, 6, 84, 22
_LABELLED_FROM = 0.12


class WeightChart(QWidget):
    """Stacked bars; a click on a segment chooses it.

    Signals
    -------
    chosen(Pair, str)
        The pair and the auxiliary clicked.
    """

    chosen = Signal(object, str)

    def __init__(self) -> None:
        super().__init__()
        self._weights: dict[Pair, dict[str, float]] = {}
        self._colours: dict[str, QColor] = {}
        self._marked: tuple[Pair | None, str] = (None, "")

    def show_weights(self, weights: Mapping[tuple[Pair, str], float]) -> None:
        """Show other weights."""
        self._weights = {}
        for (pair, auxiliary), weight in weights.items():
            self._weights.setdefault(pair, {})[auxiliary] = weight
        names = sorted({auxiliary for _, auxiliary in weights})
        self._colours = {name: QColor(PALETTE[k % len(PALETTE)]) for k, name in enumerate(names)}
        self.setFixedHeight(len(self._weights) * (_BAR + _GAP) + _LEGEND)
        self.update()

    def mark(self, pair: Pair | None, auxiliary: str) -> None:
        """Outline one segment."""
        self._marked = (pair, auxiliary)
        self.update()

    def segments(self) -> list[tuple[Pair, str, QRectF]]:
        """Return where every segment is drawn."""
        found = []
        width = self.width() - _NAMES - 4
        for k, (pair, weights) in enumerate(self._weights.items()):
            left = float(_NAMES)
            for auxiliary, weight in weights.items():
                if weight > 0:
                    box = QRectF(left, _LEGEND + k * (_BAR + _GAP), weight * width, _BAR)
                    found.append((pair, auxiliary, box))
                    left += weight * width
        return found

    def paintEvent(self, _: QPaintEvent) -> None:  # noqa: N802
        """Draw legend, names and segments."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = self.palette().text().color()
        left = 0.0
        for name, colour in self._colours.items():
            painter.fillRect(QRectF(left, 4, 10, 10), colour)
            painter.setPen(text)
            painter.drawText(QPointF(left + 14, 14), name)
            left += 26 + painter.fontMetrics().horizontalAdvance(name)
        flags = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        for k, pair in enumerate(self._weights):
            box = QRectF(0, _LEGEND + k * (_BAR + _GAP), _NAMES - 6, _BAR)
            painter.drawText(box, flags, f"{pair.primary} {pair.region}")
        for pair, auxiliary, box in self.segments():
            self._draw_segment(painter, pair, auxiliary, box)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Choose the segment under the mouse."""
        hit = self._at(event.position())
        if hit is not None:
            self.chosen.emit(*hit)

    def event(self, event: QEvent) -> bool:
        """Show a segment's own tooltip."""
        hit = self._at(QPointF(event.pos())) if isinstance(event, QHelpEvent) else None
        if hit is None:
            return bool(super().event(event))
        pair, auxiliary = hit
        share = f"{self._weights[pair][auxiliary]:.0%}"
        said = f"{auxiliary}: {share} of what was added to {pair.region} in {pair.primary}"
        QToolTip.showText(event.globalPos(), said, self)
        return True

    def _draw_segment(self, painter: QPainter, pair: Pair, auxiliary: str, box: QRectF) -> None:
        painter.fillRect(box, self._colours[auxiliary])
        weight = self._weights[pair][auxiliary]
        painter.setPen(QColor("white"))
        if weight >= _LABELLED_FROM:
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), f"{weight:.2f}")
        if (pair, auxiliary) == self._marked:
            painter.drawRect(box.adjusted(1, 1, -1, -1))

    def _at(self, point: QPointF) -> tuple[Pair, str] | None:
        for pair, auxiliary, box in self.segments():
            if box.contains(point):
                return pair, auxiliary
        return None
