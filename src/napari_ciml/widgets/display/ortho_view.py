"""Further canvas that shows the viewer's layers in an orthogonal plane; the crosshair."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer, Vectors
from napari.qt import QtViewer

from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.display.linked_layers import LinkedLayer, reorder_layers

_CLICK_PIXELS = 3.0
"""Maximum distance between press and release of a click."""


class OrthogonalView:
    """Canvas that shows linked copies of the viewer's layers in another plane.

    Parameters
    ----------
    main : napari.components.ViewerModel
        Viewer whose layers and point are shown.
    order : tuple of int
        Order of the axes (Z, Y, X); the first is perpendicular to the plane.
    direction : sequence of float
        Direction cosines of the case.
    """

    def __init__(self, main: ViewerModel, order: tuple[int, ...], direction: Sequence[float]):
        self.main, self.model = main, ViewerModel(order=order)
        self.canvas = QtViewer(self.model)
        self.linked_layers: dict[Layer, LinkedLayer] = {}
        self.annotations = Annotations(self.model, corner=False)
        self.annotations.direction = direction
        self.order = order
        self.model.dims.events.point.connect(self._on_point)
        self.model.mouse_drag_callbacks.append(crosshair_callback(main))

    def sync_layers(self) -> Iterator[None]:
        """Add and remove linked copies to match the viewer's layers; one step per layer."""
        for layer in [layer for layer in self.linked_layers if layer not in self.main.layers]:
            copy = self.linked_layers.pop(layer)
            copy.close()
            self.model.layers.remove(copy.layer)
            yield
        first = not self.linked_layers
        for layer in self.main.layers:
            if layer not in self.linked_layers:
                self.linked_layers[layer] = LinkedLayer(layer)
                self.model.layers.append(self.linked_layers[layer].layer)
                # At once: later, all layers would be sliced again.
                self.model.dims.order = self.order
                yield
                self.linked_layers[layer].show()
                yield
        order = [self.linked_layers[layer].layer for layer in self.main.layers]
        reorder_layers(self.model.layers, order)
        self.model.dims.axis_labels = self.main.dims.axis_labels
        self.annotations.refresh()
        self.sync_point()
        if first:
            annotations = self.annotations.show_stepwise()
            next(annotations)
            self.model.reset_view()
            yield
            yield from annotations

    def sync_point(self) -> None:
        """Move to the point of the viewer."""
        if self.linked_layers and self.model.dims.point != self.main.dims.point:
            self.model.dims.point = self.main.dims.point

    def close(self) -> None:
        """Unlink the layers and close the canvas."""
        for copy in self.linked_layers.values():
            copy.close()
        self.linked_layers = {}
        self.model.mouse_drag_callbacks.clear()
        self.model.keymap.clear()
        with suppress(RuntimeError):
            self.canvas.close()
            self.canvas.deleteLater()

    def _on_point(self, *_: object) -> None:
        """Move the viewer when the slider of this plane is moved."""
        axis = self.order[0]
        if len(self.linked_layers) == len(self.main.layers) and self.canvas.isVisible():
            self.main.dims.set_point(axis, self.model.dims.point[axis])


def crosshair_callback(main: ViewerModel) -> Callable[[ViewerModel, Any], Iterator[None]]:
    """Return a mouse callback that moves the crosshair to a clicked position."""

    def on_press(viewer: ViewerModel, event: Any) -> Iterator[None]:
        active = viewer.layers.selection.active
        tool_active = active is not None and active.mode != "pan_zoom"
        if event.button != 1 or event.modifiers or tool_active or viewer.dims.ndisplay == 3:
            return
        start, position = event.pos, event.position
        yield
        while event.type == "mouse_move":
            yield
        if max(abs(event.pos - start)) <= _CLICK_PIXELS:
            main.dims.point = tuple(position)

    return on_press


_COLOUR = "#4dd0e1"
_WIDTH = 0.5
"""Width of a line in voxels."""


def make_crosshair(viewer: ViewerModel) -> Vectors:
    """Return a layer with the crosshair at the point of a 3-D viewer, in mm.

    Its scale is the step of the viewer's sliders, so that they keep theirs.
    """
    spans = viewer.dims.range[-3:]
    return Vectors(
        _lines(viewer),
        name="crosshair",
        edge_color=_COLOUR,
        edge_width=_WIDTH,
        vector_style="line",
        opacity=0.8,
        scale=[span.step for span in spans],
        translate=[span.start for span in spans],
        units=("mm", "mm", "mm"),
    )


def move_crosshair(layer: Vectors, viewer: ViewerModel) -> None:
    """Move the crosshair to the point of the viewer."""
    layer.data = _lines(viewer)


def _lines(viewer: ViewerModel) -> np.ndarray:
    """Return a line along each axis in steps, (3, 2, 3): start and direction."""
    spans = np.array([tuple(span) for span in viewer.dims.range[-3:]])
    start, stop, step = spans.T
    lines = np.zeros((3, 2, 3))
    for axis in range(3):
        lines[axis, 0] = (np.array(viewer.dims.point[-3:]) - start) / step
        lines[axis, 0, axis] = 0
        lines[axis, 1, axis] = (stop[axis] - start[axis]) / step[axis]
    return lines
