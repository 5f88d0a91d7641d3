"""All maps of an answer side by side as in Fig. 12: a row per pair, a column per auxiliary."""

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

    def draw(self, answer: AnsweredQuery | None, largest: float) -> None:
        """Cut all maps of an answer where the viewer's slice lies.

        ``largest`` is the value that is brightest, in this picture and in others beside it.
        """
        case = self.session.model.case
        self.pictures = {}
        if case is None or answer is None:
            self.update()
            return
        found, made = answer.explanation, answer.segmentation
        dims = self.session.layers.viewer.dims
        axis = dims.order[-3]
        step = round((dims.point[axis] - case.grid.translate[axis]) / case.grid.scale[axis])
        index = min(max(step, 0), case.grid.shape[axis] - 1)
        mesh = SliceSpec(axis, index).mesh(case, object_bounding_box(case.images[case.reference]))
        labels = sample_nearest(made.label_map, mesh).squeeze(axis)
        regions = {r.name: np.isin(labels, r.labels) for r in made.plan.decomposition.regions}
        limits = {
            require_metadata(layer).shows: layer.contrast_limits
            for layer in self.session.layers.modalities()
        }
        share = found.scale / largest if largest else 1.0
        for pair, auxiliary in found.weights:
            image = sample_nearest(case.images[auxiliary], mesh).squeeze(axis)
            values = found.maps.sample_at((pair, auxiliary), mesh).squeeze(axis) * share
            shown = limits.get(auxiliary, (float(image.min()), float(image.max())))
            self.pictures[pair, auxiliary] = render_slice(
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

    If the answer is compared with another one, its maps stand beside, on the same colour scale.

    Parameters
    ----------
    session : Session
        Whose answers.
    beside : callable
        Returns the answer that is compared with, or None.
    parent : QWidget
        With which it closes.
    """

    def __init__(
        self, session: Session, beside: Callable[[], AnsweredQuery | None], parent: QWidget
    ) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("What each message added")
        self.session, self.beside = session, beside
        self.grid, self.other = MapsGrid(session), MapsGrid(session)
        self.question, self.compared = WrappingLabel(), WrappingLabel()
        self.save = button("Save picture ...", "Save these maps as a PNG file.")
        self.pictures = QWidget()
        places = QGridLayout(self.pictures)
        places.setContentsMargins(0, 0, 0, 0)
        for k, (words, grid) in enumerate(self._sides()):
            places.addWidget(words, 0, k)
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
        """Show the answer in the present slice, and what it is compared with."""
        if not self.isVisible():
            return
        questions = self.session.explanation
        answers = (questions.answer, self.beside())
        largest = max((a.explanation.scale for a in answers if a is not None), default=0.0)
        for (words, grid), answer in zip(self._sides(), answers, strict=True):
            for part in (words, grid):
                part.setVisible(answer is not None)
            words.set_text(questions.title(answer) if answer is not None else "")
            grid.draw(answer, largest)
        self.adjustSize()

    def follow(self, *_: object) -> None:
        """Draw anew, soon."""
        self._later.start(20)

    def _sides(self) -> tuple[tuple[WrappingLabel, MapsGrid], ...]:
        return (self.question, self.grid), (self.compared, self.other)

    def closeEvent(self, event: object) -> None:  # noqa: N802
        """Follow no more."""
        self.session.layers.viewer.dims.events.disconnect(self.follow)
        self.session.explanation.changed.disconnect(self.follow)
        super().closeEvent(event)

    def _ask_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save these maps", filter="PNG (*.png)")
        if path:
            self.pictures.grab().save(path, "PNG")
