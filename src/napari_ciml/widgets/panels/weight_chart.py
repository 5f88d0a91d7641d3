"""Chart of complementary-information weights: a stacked bar per pair."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from qtpy.QtCore import QEvent, QModelIndex, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QToolTip, QWidget

from napari_ciml.decomposition.model import Pair
from napari_ciml.export.report import PALETTE

_BAR, _GAP, _NAMES, _LEGEND = 18, 6, 84, 22
_THIN = 7
"""Height of a reference bar in pixels."""

_LABELLED_FROM = 0.12

ATYPICAL_COLOUR = "#ffb454"
_ATYPICAL = QColor(ATYPICAL_COLOUR)

RANGE_ROLE = int(Qt.ItemDataRole.UserRole)
"""Item data role: weight, and lower and upper bound of its typical range."""


class WeightChart(QWidget):
    """Stacked bars, one segment per auxiliary; a click selects a segment.

    Signals
    -------
    chosen(Pair, str)
        The pair and the auxiliary clicked.
    """

    chosen = Signal(object, str)

    def __init__(self) -> None:
        super().__init__()
        self._weights: dict[Pair, dict[str, float]] = {}
        self._reference: dict[Pair, dict[str, float]] = {}
        self._colours: dict[str, QColor] = {}
        self._selected: tuple[Pair | None, str] = (None, "")
        self._atypical: Collection[tuple[Pair, str]] = ()

    def show_weights(
        self,
        weights: Mapping[tuple[Pair, str], float],
        reference: Mapping[tuple[Pair, str], float] = MappingProxyType({}),
        atypical: Collection[tuple[Pair, str]] = (),
    ) -> None:
        """Show weights with atypical ones marked, and reference weights as thin bars below."""
        self._atypical = atypical
        self._weights, self._reference = _by_pair(weights), _by_pair(reference)
        names = sorted({auxiliary for _, auxiliary in weights})
        self._colours = {name: QColor(PALETTE[k % len(PALETTE)]) for k, name in enumerate(names)}
        self.setFixedHeight(len(self._weights) * self._step + _LEGEND)
        self.update()

    def mark(self, pair: Pair | None, auxiliary: str) -> None:
        """Outline a segment."""
        self._selected = (pair, auxiliary)
        self.update()

    @property
    def _step(self) -> int:
        return _BAR + _GAP + (_THIN if self._reference else 0)

    def segments(self) -> list[tuple[Pair, str, QRectF]]:
        """Return the rectangle of every segment."""
        return self._segments(self._weights, 0, _BAR)

    def _segments(
        self, weights: Mapping[Pair, Mapping[str, float]], down: int, height: int
    ) -> list[tuple[Pair, str, QRectF]]:
        rectangles = []
        width = self.width() - _NAMES - 4
        for k, pair in enumerate(self._weights):
            left = float(_NAMES)
            for auxiliary, weight in weights.get(pair, {}).items():
                if weight > 0:
                    top = _LEGEND + k * self._step + down
                    box = QRectF(left, top, weight * width, height)
                    rectangles.append((pair, auxiliary, box))
                    left += weight * width
        return rectangles

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
            box = QRectF(0, _LEGEND + k * self._step, _NAMES - 6, _BAR)
            painter.drawText(box, flags, f"{pair.primary} {pair.region}")
        for pair, auxiliary, box in self.segments():
            self._draw_segment(painter, pair, auxiliary, box)
        for _, auxiliary, box in self._segments(self._reference, _BAR + 1, _THIN - 1):
            painter.fillRect(box, self._colours.get(auxiliary, text))

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Emit the segment under the mouse."""
        hit = self._at(event.position())
        if hit is not None:
            self.chosen.emit(*hit)

    def event(self, event: QEvent) -> bool:
        """Show the tooltip of a segment."""
        hit = self._at(QPointF(event.pos())) if isinstance(event, QHelpEvent) else None
        if hit is None:
            return bool(super().event(event))
        pair, auxiliary = hit
        percentage = f"{self._weights[pair][auxiliary]:.0%}"
        text = f"{auxiliary}: {percentage} of the information for {pair.region} in {pair.primary}"
        QToolTip.showText(event.globalPos(), text, self)
        return True

    def _draw_segment(self, painter: QPainter, pair: Pair, auxiliary: str, box: QRectF) -> None:
        painter.fillRect(box, self._colours[auxiliary])
        weight = self._weights[pair][auxiliary]
        painter.setPen(QColor("white"))
        atypical = (pair, auxiliary) in self._atypical
        if weight >= _LABELLED_FROM:
            text = f"{weight:.2f} !" if atypical else f"{weight:.2f}"
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), text)
        if atypical:
            painter.fillRect(QRectF(box.left(), box.bottom() - 3, box.width(), 3), _ATYPICAL)
        if (pair, auxiliary) == self._selected:
            painter.drawRect(box.adjusted(1, 1, -1, -1))

    def _at(self, point: QPointF) -> tuple[Pair, str] | None:
        for pair, auxiliary, box in self.segments():
            if box.contains(point):
                return pair, auxiliary
        return None


class TypicalRangeDelegate(QStyledItemDelegate):
    """Draw a weight in [0, 1] and its typical range below an item's text."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw the cell, then the range and the weight in it."""
        super().paint(painter, option, index)
        data = index.data(RANGE_ROLE)
        if data is None:
            return
        weight, low, high = data
        area = QRectF(option.rect).adjusted(3, 0, -3, -1)

        def bar(first: float, last: float, height: float) -> QRectF:
            left, right = (area.left() + area.width() * min(max(v, 0), 1) for v in (first, last))
            return QRectF(left, area.bottom() - height, max(right - left, 3), height)

        painter.fillRect(bar(0, 1, 1), QColor("#5a5f66"))
        painter.fillRect(bar(low, high, 4), QColor("#7f868e"))
        painter.fillRect(
            bar(weight, weight, 6), QColor("white") if low <= weight <= high else _ATYPICAL
        )


def _by_pair(weights: Mapping[tuple[Pair, str], float]) -> dict[Pair, dict[str, float]]:
    by_pair: dict[Pair, dict[str, float]] = {}
    for (pair, auxiliary), weight in weights.items():
        by_pair.setdefault(pair, {})[auxiliary] = weight
    return by_pair
