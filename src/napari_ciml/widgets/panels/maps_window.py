"""All maps of an answer side by side as in Fig. 12: a row per pair, a column per auxiliary."""

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QImage, QLinearGradient, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_ciml.cases.window import object_box
from napari_ciml.decomposition import Pair
from napari_ciml.widgets.control.session import Session
from napari_ciml.widgets.layers.looks import MAP_COLOURS
from napari_ciml.widgets.layers.origin import known_origin
from napari_ciml.widgets.panels.map_pictures import Cut, picture, take
from napari_ciml.widgets.panels.parts import QUIET_COLOUR, Words, button, row

_CELL, _GAP, _NAMES, _HEAD, _SCALE = 104, 4, 76, 20, 34

_LEGEND = (
    "Yellow: where the message of the column's modality raised the evidence for the region of the "
    "row most, of all maps here. Grey: the column's modality. White line: the region."
)


class MapsGrid(QWidget):
    """Draws the maps of the answer that is shown, in the viewer's slice.

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
        self.setToolTip("Click a map to see it over the whole case.")

    def draw(self) -> None:
        """Cut all maps where the viewer's slice lies."""
        case, found = self.session.review.case, self.session.questions.shown
        made = self.session.review.segmentation
        self.pictures = {}
        if case is None or found is None or made is None:
            self.update()
            return
        dims = self.session.layers.viewer.dims
        axis = dims.order[-3]
        step = round((dims.point[axis] - case.grid.translate[axis]) / case.grid.scale[axis])
        index = min(max(step, 0), case.grid.shape[axis] - 1)
        mesh = Cut(axis, index).mesh(case, object_box(case.images[case.reference]))
        labels = take(made.label_map, mesh).squeeze(axis)
        regions = {r.name: np.isin(labels, r.labels) for r in made.plan.decomposition.regions}
        limits = {
            known_origin(layer).shows: layer.contrast_limits
            for layer in self.session.layers.modalities()
        }
        for pair, auxiliary in found.weights:
            image = take(case.images[auxiliary], mesh).squeeze(axis)
            values = found.maps.sampled((pair, auxiliary), mesh).squeeze(axis)
            shown = limits.get(auxiliary, (float(image.min()), float(image.max())))
            self.pictures[pair, auxiliary] = picture(
                image, shown, values, regions[pair.region], MAP_COLOURS
            )
        self.pairs = list(dict.fromkeys(pair for pair, _ in self.pictures))
        heard = {auxiliary for _, auxiliary in self.pictures}
        self.columns = [name for name in case.images if name in heard]
        width = _NAMES + len(self.columns) * (_CELL + _GAP)
        self.setFixedSize(width, _HEAD + len(self.pairs) * (_CELL + _GAP) + _SCALE)
        self.update()

    def cell(self, pair: Pair, auxiliary: str) -> QRectF:
        """Return where a map is drawn."""
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
            painter.drawText(box, centred, f"{pair.region}\nfrom\n{pair.primary}")
        for (pair, auxiliary), pixels in self.pictures.items():
            self._draw_picture(painter, self.cell(pair, auxiliary), pixels)
        if self.pictures:
            self._draw_scale(painter)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Choose the map under the mouse."""
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
        """Draw the one colour scale of all maps."""
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
        painter.drawText(QPointF(_NAMES, top + 24), "0: nothing added")
        right = QRectF(_NAMES, top + 11, width, 16)
        painter.drawText(right, int(Qt.AlignmentFlag.AlignRight), "1: the largest of all")


class MapsWindow(QWidget):
    """The maps in a window of their own, which follows the viewer's slice and the question.

    Parameters
    ----------
    session : Session
        Whose answers.
    parent : QWidget
        With which it closes.
    """

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("What each message added")
        self.session = session
        self.grid = MapsGrid(session)
        self.question = Words()
        self.save = button("Save picture ...", "Save these maps as a PNG file.")
        column = QVBoxLayout(self)
        column.addLayout(row(self.question, self.save))
        column.addWidget(self.grid)
        column.addWidget(Words(_LEGEND, QUIET_COLOUR))
        self.save.clicked.connect(self._ask_save)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.draw)
        session.layers.viewer.dims.events.connect(self._moved)
        session.questions.changed.connect(self._moved)
        self.destroyed.connect(self._later.stop)

    def draw(self) -> None:
        """Show the answer in the present slice."""
        if self.isVisible():
            chosen = self.session.questions.chosen
            self.question.say(chosen.name if chosen else "The whole case")
            self.grid.draw()
            self.adjustSize()

    def closeEvent(self, event: object) -> None:  # noqa: N802
        """Follow no more."""
        self.session.layers.viewer.dims.events.disconnect(self._moved)
        self.session.questions.changed.disconnect(self._moved)
        super().closeEvent(event)

    def _moved(self, *_: object) -> None:
        self._later.start(20)

    def _ask_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save these maps", filter="PNG (*.png)")
        if path:
            self.grid.grab().save(path, "PNG")
