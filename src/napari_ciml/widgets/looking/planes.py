"""Three linked planes: a coronal and a sagittal one below napari's own canvas; a crosshair."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Labels, Layer, Vectors
from napari.qt import QtViewer
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QSplitter

from napari_ciml.widgets.looking.annotations import Annotations
from napari_ciml.widgets.looking.crosshair import make_crosshair, move_crosshair
from napari_ciml.widgets.looking.mirrors import Mirror, quick_removal

if TYPE_CHECKING:
    from napari import Viewer

_ORDERS = ((1, 0, 2), (2, 0, 1))
"""Axes, from (Z, Y, X), of the coronal and of the sagittal plane."""

_HEIGHT = 290
_STILL = 3.0
"""Pixels up to which a press and a release are a click."""


class Plane:
    """One more canvas, that shows what the viewer shows in another plane.

    Parameters
    ----------
    main : napari.components.ViewerModel
        Whose layers and point are shown.
    order : tuple of int
        Of the axes.
    direction : sequence of float
        Direction cosines of the case.
    """

    def __init__(self, main: ViewerModel, order: tuple[int, ...], direction: Sequence[float]):
        self.main, self.model = main, ViewerModel(order=order)
        self.canvas = QtViewer(self.model)
        self.mirrors: dict[Layer, Mirror] = {}
        self.annotations = Annotations(self.model, corner=False)
        self.annotations.show(direction)
        self.order = order
        self.model.dims.events.point.connect(self._lead)
        self.model.mouse_drag_callbacks.append(click_to_go(main))

    def follow_layers(self) -> Iterator[None]:
        """Show the layers the viewer has, no more and no less; one step for each."""
        for layer in [layer for layer in self.mirrors if layer not in self.main.layers]:
            mirror = self.mirrors.pop(layer)
            mirror.close()
            with quick_removal():
                self.model.layers.remove(mirror.layer)
            yield
        first = not self.mirrors
        for layer in self.main.layers:
            if layer not in self.mirrors:
                self.mirrors[layer] = Mirror(layer)
                self.model.layers.append(self.mirrors[layer].layer)
                yield
        order = [self.mirrors[layer].layer for layer in self.main.layers]
        if order != list(self.model.layers):
            self.model.layers.move_multiple([self.model.layers.index(m) for m in order], 0)
        self.model.dims.order, self.model.dims.axis_labels = self.order, self.main.dims.axis_labels
        self.annotations.refresh()
        self.follow_point()
        if first:
            self.model.reset_view()

    def follow_point(self) -> None:
        """Go where the viewer is."""
        if self.mirrors and self.model.dims.point != self.main.dims.point:
            self.model.dims.point = self.main.dims.point

    def close(self) -> None:
        """Follow no longer, and let the canvas go."""
        for mirror in self.mirrors.values():
            mirror.close()
        self.mirrors = {}
        self.model.mouse_drag_callbacks.clear()
        self.model.keymap.clear()
        with suppress(RuntimeError):
            self.canvas.close()
            self.canvas.deleteLater()

    def _lead(self, *_: object) -> None:
        """Take the viewer along when this plane's slider is moved."""
        through = self.order[0]
        if len(self.mirrors) == len(self.main.layers) and self.canvas.isVisible():
            self.main.dims.set_point(through, self.model.dims.point[through])


class Planes:
    """The two further planes in a dock of their own, the crosshair, and what keeps them together.

    Parameters
    ----------
    viewer : napari.Viewer
        With a window.
    changed : callable
        Called when they were shown or left.
    bind : callable
        Binds the keys to a further canvas.
    """

    def __init__(
        self,
        viewer: "Viewer",
        changed: Callable[[], None],
        bind: Callable[[ViewerModel], None],
    ) -> None:
        self.viewer, self.changed, self.bind = viewer, changed, bind
        self.planes: list[Plane] = []
        self.dock: QDockWidget | None = None
        self.crosshair: Vectors | None = None
        self.busy = self.closed = False
        self._click = click_to_go(viewer)

    @property
    def shown(self) -> bool:
        """Whether three planes are shown."""
        return self.crosshair is not None

    def toggle(self, direction: Sequence[float]) -> None:
        """Show them, or go back to one plane."""
        if not self.busy:
            self._take(self._leave() if self.shown else self._show(direction))

    def leave(self) -> None:
        """Go back to one plane."""
        if self.shown and not self.busy and not self.closed:
            self._take(self._leave())

    def close(self) -> None:
        """Do nothing more; the window goes."""
        self.closed = True
        for plane in self.planes:
            plane.close()
        self.planes, self.dock = [], None

    def _show(self, direction: Sequence[float]) -> Iterator[None]:
        viewer = self.viewer
        viewer.dims.ndisplay, viewer.dims.order = 2, (0, 1, 2)
        self._in_the_middle()
        active = viewer.layers.selection.active
        self.crosshair = make_crosshair(viewer)
        viewer.add_layer(self.crosshair)
        viewer.layers.selection.active = active
        yield
        if self.dock is None:
            yield from self._build(direction)
        for plane in self.planes:
            plane.annotations.show(direction)
        assert self.dock is not None
        self.dock.show()
        yield
        for plane in self.planes:
            yield from plane.follow_layers()
        self._connect("connect")

    def _build(self, direction: Sequence[float]) -> Iterator[None]:
        # The dock first: a canvas is put into a window at once, or its window is made twice.
        both = _Both(Qt.Orientation.Horizontal)
        self.dock = self.viewer.window.add_dock_widget(both, name="Planes", area="bottom")
        both.destroyed.connect(self._gone)
        window = self.dock.window()
        if isinstance(window, QMainWindow):
            sides = Qt.DockWidgetArea
            window.setCorner(Qt.Corner.BottomLeftCorner, sides.LeftDockWidgetArea)
            window.setCorner(Qt.Corner.BottomRightCorner, sides.RightDockWidgetArea)
            window.resizeDocks([self.dock], [_HEIGHT], Qt.Orientation.Vertical)
        yield
        for order in _ORDERS:
            self.planes.append(Plane(self.viewer, order, direction))
            self.bind(self.planes[-1].model)
            yield
            both.addWidget(self.planes[-1].canvas)
            yield

    def _gone(self) -> None:
        """Forget the dock, which was closed."""
        if self.closed:
            return
        self.dock, planes = None, self.planes
        self.planes = []
        for plane in planes:
            plane.close()
        # Not at once: the whole window may be closing.
        QTimer.singleShot(0, self.leave)

    def _leave(self) -> Iterator[None]:
        self._connect("disconnect")
        if self.dock is not None:
            self.dock.hide()
        yield
        if self.crosshair in self.viewer.layers:
            with quick_removal():
                self.viewer.layers.remove(self.crosshair)
        self.crosshair = None

    def _connect(self, how: str) -> None:
        viewer = self.viewer
        getattr(viewer.dims.events.point, how)(self._follow_point)
        for happened in ("inserted", "removed", "reordered"):
            getattr(getattr(viewer.layers.events, happened), how)(self._follow_layers)
        callbacks = viewer.mouse_drag_callbacks
        (callbacks.append if how == "connect" else callbacks.remove)(self._click)

    def _follow_point(self, *_: object) -> None:
        if self.crosshair is not None and self.viewer.dims.ndim == 3:
            move_crosshair(self.crosshair, self.viewer)
        for plane in self.planes:
            plane.follow_point()

    def _follow_layers(self, *_: object) -> None:
        if self.busy or not self.shown:
            return
        if self.crosshair not in self.viewer.layers:
            self.leave()
            return

        def steps() -> Iterator[None]:
            yield
            for plane in self.planes:
                yield from plane.follow_layers()

        self._take(steps())

    def _in_the_middle(self) -> None:
        """Begin where there is something: at the labels if there are any, else in the middle."""
        dims = self.viewer.dims
        middle = [(start + stop) / 2 for start, stop, _ in dims.range]
        middle[0] = dims.point[0]
        for layer in self.viewer.layers:
            if isinstance(layer, Labels) and layer.visible:
                shown = layer.data[dims.current_step[0]] if layer.data.ndim == 3 else None
                if shown is not None and shown.any():
                    rows, columns = shown.nonzero()
                    place = (dims.current_step[0], rows.mean(), columns.mean())
                    middle = list(layer.data_to_world(place))
        dims.point = tuple(middle)

    def _take(self, steps: Iterator[None]) -> None:
        self.busy = True
        self._step(steps)

    def _step(self, steps: Iterator[None]) -> None:
        if self.closed:
            return
        try:
            next(steps)
        except StopIteration:
            self.busy = False
            self.changed()
        else:
            QTimer.singleShot(0, lambda: self._step(steps))


class _Both(QSplitter):
    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(600, _HEIGHT)


def click_to_go(main: ViewerModel) -> Callable[[ViewerModel, Any], Iterator[None]]:
    """Return what moves the crosshair to where a canvas was clicked without dragging."""

    def clicked(viewer: ViewerModel, event: Any) -> Iterator[None]:
        active = viewer.layers.selection.active
        tool = active is not None and active.mode != "pan_zoom"
        if event.button != 1 or event.modifiers or tool or viewer.dims.ndisplay == 3:
            return
        start, place = event.pos, event.position
        yield
        while event.type == "mouse_move":
            yield
        if max(abs(event.pos - start)) <= _STILL:
            main.dims.point = tuple(place)

    return clicked
