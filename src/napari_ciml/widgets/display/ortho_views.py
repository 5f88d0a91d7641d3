"""Three linked planes: a coronal and a sagittal one below napari's own canvas; a crosshair."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from napari.components import ViewerModel
from napari.layers import Labels, Vectors
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QSplitter

from napari_ciml.widgets.display.linked_zoom import LinkedZoom
from napari_ciml.widgets.display.ortho_view import (
    OrthogonalView,
    crosshair_callback,
    make_crosshair,
    move_crosshair,
)
from napari_ciml.widgets.event_loop import call_later, run_stepwise
from napari_ciml.widgets.gc_tuning import skip_gc_collect

if TYPE_CHECKING:
    from napari import Viewer

_ORDERS = ((1, 0, 2), (2, 0, 1))
"""Axes, from (Z, Y, X), of the coronal and of the sagittal plane."""

_HEIGHT = 290
_NARROWEST = 200
"""Of a plane, in pixels; napari asks for so much that the window would grow."""


class OrthogonalViews:
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
        self.viewer, self.on_changed, self.on_canvas_added = viewer, changed, bind
        self.views: list[OrthogonalView] = []
        self.dock: QDockWidget | None = None
        self.crosshair: Vectors | None = None
        self.busy = self.closed = False
        self._smaller = 1.0
        self.linked_zoom = LinkedZoom(lambda: self.shown and not self.busy)
        self._click = crosshair_callback(viewer)

    @property
    def shown(self) -> bool:
        """Whether three planes are shown."""
        return self.crosshair is not None

    @property
    def zoom_factor(self) -> float:
        """How much larger one plane would be shown alone."""
        return 1 / self._smaller

    def show(self, direction: Sequence[float]) -> None:
        """Show them, of a case with these direction cosines."""
        if not self.busy and not self.shown:
            self._take(self._show(direction))

    def restore(self) -> None:
        """Go back to one plane."""
        if self.shown and not self.busy and not self.closed:
            self._take(self._leave())

    def close(self) -> None:
        """Do nothing more; the window goes."""
        self.closed = True
        for plane in self.views:
            plane.close()
        self.views, self.dock = [], None

    def _show(self, direction: Sequence[float]) -> Iterator[None]:
        viewer = self.viewer
        viewer.dims.ndisplay, viewer.dims.order = 2, (0, 1, 2)
        self._in_the_middle()
        active = viewer.layers.selection.active
        self.crosshair = make_crosshair(viewer)
        viewer.add_layer(self.crosshair)
        viewer.layers.selection.active = active
        height = viewer.canvas.size[0]
        yield
        if self.dock is None:
            yield from self._build(direction)
        for plane in self.views:
            plane.annotations.direction = direction
        assert self.dock is not None
        self.dock.show()
        yield
        # There is less room: it shows what it did, smaller.
        self._smaller = viewer.canvas.size[0] / height
        viewer.scene.camera.zoom *= self._smaller
        yield
        for plane in self.views:
            yield from plane.sync_layers()
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
        self.linked_zoom.begin(self.viewer)
        for order in _ORDERS:
            self.views.append(OrthogonalView(self.viewer, order, direction))
            self.on_canvas_added(self.views[-1].model)
            self.linked_zoom.add(self.views[-1].model)
            yield
            self.views[-1].canvas.setMinimumWidth(_NARROWEST)
            both.addWidget(self.views[-1].canvas)
            yield

    def _gone(self) -> None:
        """Forget the dock, which was closed."""
        if self.closed:
            return
        self.dock, planes = None, self.views
        self.views = []
        for plane in planes:
            plane.close()
        # Not at once: the whole window may be closing.
        call_later(self.restore)

    def _leave(self) -> Iterator[None]:
        self._connect("disconnect")
        if self.dock is not None:
            self.dock.hide()
        self.viewer.scene.camera.zoom /= self._smaller
        yield
        if self.crosshair in self.viewer.layers:
            with skip_gc_collect():
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
        for plane in self.views:
            plane.sync_point()

    def _follow_layers(self, *_: object) -> None:
        if self.busy or not self.shown:
            return
        if self.crosshair not in self.viewer.layers:
            self.restore()
            return

        def steps() -> Iterator[None]:
            yield
            for plane in self.views:
                yield from plane.sync_layers()

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
        run_stepwise(self._unless_closed(steps), self._arranged)

    def _unless_closed(self, steps: Iterator[None]) -> Iterator[None]:
        for _ in steps:
            yield
            if self.closed:
                return

    def _arranged(self) -> None:
        self.busy = False
        if not self.closed:
            self.on_changed()


class _Both(QSplitter):
    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(600, _HEIGHT)
