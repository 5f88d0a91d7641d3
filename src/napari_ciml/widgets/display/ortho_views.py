"""Three linked planes: coronal and sagittal canvases below the main one, with a crosshair."""

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

if TYPE_CHECKING:
    from napari import Viewer

_ORDERS = ((1, 0, 2), (2, 0, 1))
"""Order of the axes (Z, Y, X) of the coronal and the sagittal plane."""

_HEIGHT = 290
_MIN_WIDTH = 200
"""Minimum width of a canvas in pixels; napari's own would enlarge the window."""


class OrthogonalViews:
    """Two further planes in a dock, the crosshair, and their links to the main canvas.

    Parameters
    ----------
    viewer : napari.Viewer
        Viewer with a window.
    on_changed : callable
        Called when the planes were shown or hidden.
    on_canvas_added : callable
        Called with the viewer model of a further canvas.
    """

    def __init__(
        self,
        viewer: "Viewer",
        on_changed: Callable[[], None],
        on_canvas_added: Callable[[ViewerModel], None],
    ) -> None:
        self.viewer = viewer
        self.on_changed, self.on_canvas_added = on_changed, on_canvas_added
        self.views: list[OrthogonalView] = []
        self.dock: QDockWidget | None = None
        self.crosshair: Vectors | None = None
        self.busy = self.closed = False
        self._shrink_factor = 1.0
        self.linked_zoom = LinkedZoom(lambda: self.shown and not self.busy)
        self._click = crosshair_callback(viewer)

    @property
    def shown(self) -> bool:
        """Whether three planes are shown."""
        return self.crosshair is not None

    @property
    def zoom_factor(self) -> float:
        """Zoom of a single plane relative to this layout."""
        return 1 / self._shrink_factor

    def show(self, direction: Sequence[float]) -> None:
        """Show the planes of a case with these direction cosines."""
        if not self.busy and not self.shown:
            self._run(self._show(direction))

    def restore(self) -> None:
        """Show a single plane again."""
        if self.shown and not self.busy and not self.closed:
            self._run(self._restore_steps())

    def close(self) -> None:
        """Close the canvases; the window is being closed."""
        self.closed = True
        for view in self.views:
            view.close()
        self.views, self.dock = [], None

    def _show(self, direction: Sequence[float]) -> Iterator[None]:
        viewer = self.viewer
        viewer.dims.ndisplay, viewer.dims.order = 2, (0, 1, 2)
        self._center_point()
        active = viewer.layers.selection.active
        self.crosshair = make_crosshair(viewer)
        viewer.add_layer(self.crosshair)
        viewer.layers.selection.active = active
        height = viewer.canvas.size[0]
        yield
        if self.dock is None:
            yield from self._build(direction)
        for view in self.views:
            view.annotations.direction = direction
        assert self.dock is not None
        self.dock.show()
        yield
        # The main canvas is smaller now: show the same field of view.
        self._shrink_factor = viewer.canvas.size[0] / height
        viewer.scene.camera.zoom *= self._shrink_factor
        yield
        for view in self.views:
            yield from view.sync_layers()
        self._connect("connect")

    def _build(self, direction: Sequence[float]) -> Iterator[None]:
        # The dock first: a canvas without a window would create its native window twice.
        splitter = _Splitter(Qt.Orientation.Horizontal)
        self.dock = self.viewer.window.add_dock_widget(splitter, name="Planes", area="bottom")
        splitter.destroyed.connect(self._on_dock_closed)
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
            self.views[-1].canvas.setMinimumWidth(_MIN_WIDTH)
            splitter.addWidget(self.views[-1].canvas)
            yield

    def _on_dock_closed(self) -> None:
        """Close the canvases when the user has closed the dock."""
        if self.closed:
            return
        self.dock, views = None, self.views
        self.views = []
        for view in views:
            view.close()
        # Later: the whole window may be closing.
        call_later(self.restore)

    def _restore_steps(self) -> Iterator[None]:
        self._connect("disconnect")
        if self.dock is not None:
            self.dock.hide()
        self.viewer.scene.camera.zoom /= self._shrink_factor
        yield
        if self.crosshair in self.viewer.layers:
            self.viewer.layers.remove(self.crosshair)
        self.crosshair = None

    def _connect(self, method: str) -> None:
        viewer = self.viewer
        getattr(viewer.dims.events.point, method)(self._follow_point)
        for event in ("inserted", "removed", "reordered"):
            getattr(getattr(viewer.layers.events, event), method)(self._follow_layers)
        callbacks = viewer.mouse_drag_callbacks
        (callbacks.append if method == "connect" else callbacks.remove)(self._click)

    def _follow_point(self, *_: object) -> None:
        if self.crosshair is not None and self.viewer.dims.ndim == 3:
            move_crosshair(self.crosshair, self.viewer)
        for view in self.views:
            view.sync_point()

    def _follow_layers(self, *_: object) -> None:
        if self.busy or not self.shown:
            return
        if self.crosshair not in self.viewer.layers:
            self.restore()
            return

        def steps() -> Iterator[None]:
            yield
            for view in self.views:
                yield from view.sync_layers()

        self._run(steps())

    def _center_point(self) -> None:
        """Move the point to the centre of the labels in this slice, else of the volume."""
        dims = self.viewer.dims
        middle = [(start + stop) / 2 for start, stop, _ in dims.range]
        middle[0] = dims.point[0]
        for layer in self.viewer.layers:
            if isinstance(layer, Labels) and layer.visible:
                labels_slice = layer.data[dims.current_step[0]] if layer.data.ndim == 3 else None
                if labels_slice is not None and labels_slice.any():
                    rows, columns = labels_slice.nonzero()
                    voxel = (dims.current_step[0], rows.mean(), columns.mean())
                    middle = list(layer.data_to_world(voxel))
        dims.point = tuple(middle)

    def _run(self, steps: Iterator[None]) -> None:
        self.busy = True
        run_stepwise(self._until_closed(steps), self._on_end)

    def _until_closed(self, steps: Iterator[None]) -> Iterator[None]:
        for _ in steps:
            yield
            if self.closed:
                return

    def _on_end(self) -> None:
        self.busy = False
        if not self.closed:
            self.on_changed()


class _Splitter(QSplitter):
    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(600, _HEIGHT)
