"""All complementary-information maps side by side, as in Fig. 12."""

from collections.abc import Callable

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QImage, QLinearGradient, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QFileDialog, QGridLayout, QVBoxLayout, QWidget

from napari_ciml.cases.display_window import object_bounding_box
from napari_ciml.decomposition.model import Pair
from napari_ciml.session.questions import AnsweredQuery
from napari_ciml.widgets.controllers.session import Session
from napari_ciml.widgets.layers.colormaps import MAP_COLOURS
from napari_ciml.widgets.layers.metadata import require_metadata
from napari_ciml.widgets.panels.common import QUIET_COLOUR, WrappingLabel, button, row
from napari_ciml.widgets.panels.map_rendering import SliceSpec, render_slice, sample_nearest

_CELL, _GAP, _NAMES, _HEAD, _SCALE = 104, 4, 76, 20, 34

_LEGEND = (
    "Each row is a pair of region and primary, each column an auxiliary. Colour: evidence for the "
    "region raised by the auxiliary's message, on one scale. Grey: the auxiliary. White: region."
)


class MapsGrid(QWidget):
    """Draw the maps of an explanation in the viewer's slice.

    Signals
    -------
    chosen(Pair, str)
        The pair and the auxiliary of the cell clicked.
    """

    chosen = Signal(object, str)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.pairs: list[Pair] = []
        self.columns: list[str] = []
        self.pictures: dict[tuple[Pair, str], np.ndarray] = {}
        self.setToolTip("Click a map to show it as a layer.")

    def draw(self, answer: AnsweredQuery | None, largest: float) -> None:
        """Render all maps of an answer in the viewer's slice.

        ``largest`` is the map value at the end of the colour scale.
        """
        case = self.session.model.case
        self.pictures = {}
        if case is None or answer is None:
            self.update()
            return
        explanation, segmentation = answer.explanation, answer.segmentation
        dims = self.session.layers.viewer.dims
        axis = dims.order[-3]
        step = round((dims.point[axis] - case.grid.translate[axis]) / case.grid.scale[axis])
        index = min(max(step, 0), case.grid.shape[axis] - 1)
        mesh = SliceSpec(axis, index).mesh(case, object_bounding_box(case.images[case.reference]))
        labels = sample_nearest(segmentation.label_map, mesh).squeeze(axis)
        regions = {
            r.name: np.isin(labels, r.labels) for r in segmentation.plan.decomposition.regions
        }
        limits = {
            require_metadata(layer).shows: layer.contrast_limits
            for layer in self.session.layers.modalities()
        }
        factor = explanation.scale / largest if largest else 1.0
        for pair, auxiliary in explanation.weights:
            image = sample_nearest(case.images[auxiliary], mesh).squeeze(axis)
            values = explanation.maps.sample_at((pair, auxiliary), mesh).squeeze(axis) * factor
            contrast = limits.get(auxiliary, (float(image.min()), float(image.max())))
            self.pictures[pair, auxiliary] = render_slice(
                image, contrast, values, regions[pair.region], MAP_COLOURS
            )
        self.pairs = list(dict.fromkeys(pair for pair, _ in self.pictures))
        auxiliaries = {auxiliary for _, auxiliary in self.pictures}
        self.columns = [name for name in case.images if name in auxiliaries]
        width = _NAMES + len(self.columns) * (_CELL + _GAP)
        self.setFixedSize(width, _HEAD + len(self.pairs) * (_CELL + _GAP) + _SCALE)
        self.update()

    def cell(self, pair: Pair, auxiliary: str) -> QRectF:
        """Return the rectangle of a map."""
        left = _NAMES + self.columns.index(auxiliary) * (_CELL + _GAP)
        return QRectF(left, _HEAD + self.pairs.index(pair) * (_CELL + _GAP), _CELL, _CELL)

    def paintEvent(self, _: QPaintEvent) -> None:  # noqa: N802
        """Draw names, maps and the colour bar."""
        painter = QPainter(self)
        painter.setPen(self.palette().text().color())
        centred = int(Qt.AlignmentFlag.AlignCenter)
        for k, name in enumerate(self.columns):
            left = _NAMES + k * (_CELL + _GAP)
            painter.drawText(QRectF(left, 0, _CELL, _HEAD), centred, name)
        for k, pair in enumerate(self.pairs):
            box = QRectF(0, _HEAD + k * (_CELL + _GAP), _NAMES - 6, _CELL)
            painter.drawText(box, centred, f"{pair.region}\nin\n{pair.primary}")
        for (pair, auxiliary), pixels in self.pictures.items():
            self._draw_picture(painter, self.cell(pair, auxiliary), pixels)
        if self.pictures:
            self._draw_scale(painter)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Emit the map under the mouse."""
        for pair, auxiliary in self.pictures:
            if self.cell(pair, auxiliary).contains(event.position()):
                self.chosen.emit(pair, auxiliary)

    def _draw_picture(self, painter: QPainter, box: QRectF, pixels: np.ndarray) -> None:
        height, width = pixels.shape[:2]
        data = np.ascontiguousarray(pixels)
        image = QImage(data.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        painter.fillRect(box, QColor("black"))
        factor = min(box.width() / width, box.height() / height)
        inner = QRectF(0, 0, width * factor, height * factor)
        inner.moveCenter(box.center())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(inner, image.copy())

    def _draw_scale(self, painter: QPainter) -> None:
        """Draw the common colour scale."""
        top, width = self.height() - _SCALE + 6, self.width() - _NAMES - _GAP
        bar = QRectF(_NAMES, top, width, 10)
        gradient = QLinearGradient(bar.topLeft(), bar.topRight())
        for stop in np.linspace(0, 1, 11):
            red, green, blue, alpha = MAP_COLOURS.map(np.array([stop]))[0]
            gradient.setColorAt(
                float(stop), QColor.fromRgbF(*map(float, (red, green, blue, alpha)))
            )
        painter.fillRect(bar, QColor("black"))
        painter.fillRect(bar, gradient)
        painter.drawText(QPointF(_NAMES, top + 24), "0")
        right = QRectF(_NAMES, top + 11, width, 16)
        painter.drawText(right, int(Qt.AlignmentFlag.AlignRight), "max")


class MapsWindow(QWidget):
    """Window with the maps of the selected explanation; follows the viewer's slice.

    Maps of the reference explanation are shown next to them, on the same colour scale.

    Parameters
    ----------
    session : Session
        Session with the explanations.
    reference : callable
        Returns the explanation to compare with, or None.
    parent : QWidget
        Parent of the window.
    """

    def __init__(
        self, session: Session, reference: Callable[[], AnsweredQuery | None], parent: QWidget
    ) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Complementary-information maps")
        self.session, self.reference = session, reference
        self.grid, self.other = MapsGrid(session), MapsGrid(session)
        self.question, self.compared = WrappingLabel(), WrappingLabel()
        self.save = button("Save image ...", "Save the maps as a PNG file.")
        self.pictures = QWidget()
        places = QGridLayout(self.pictures)
        places.setContentsMargins(0, 0, 0, 0)
        for k, (title, grid) in enumerate(self._sides()):
            places.addWidget(title, 0, k)
            places.addWidget(grid, 1, k, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.addLayout(row(WrappingLabel(_LEGEND, QUIET_COLOUR), self.save))
        column.addWidget(self.pictures)
        self.save.clicked.connect(self._ask_save)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.draw)
        session.layers.viewer.dims.events.connect(self.follow)
        session.explanation.changed.connect(self.follow)
        self.destroyed.connect(self._later.stop)

    def draw(self) -> None:
        """Draw the explanation and its reference in the current slice."""
        if not self.isVisible():
            return
        questions = self.session.explanation
        answers = (questions.answer, self.reference())
        largest = max((a.explanation.scale for a in answers if a is not None), default=0.0)
        for (title, grid), answer in zip(self._sides(), answers, strict=True):
            for part in (title, grid):
                part.setVisible(answer is not None)
            title.set_text(questions.title(answer) if answer is not None else "")
            grid.draw(answer, largest)
        self.adjustSize()

    def follow(self, *_: object) -> None:
        """Redraw shortly, once for several changes."""
        self._later.start(20)

    def _sides(self) -> tuple[tuple[WrappingLabel, MapsGrid], ...]:
        return (self.question, self.grid), (self.compared, self.other)

    def closeEvent(self, event: object) -> None:  # noqa: N802
        """Disconnect from the viewer and the session."""
        self.session.layers.viewer.dims.events.disconnect(self.follow)
        self.session.explanation.changed.disconnect(self.follow)
        super().closeEvent(event)

    def _ask_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save maps", filter="PNG (*.png)")
        if path:
            self.pictures.grab().save(path, "PNG")
