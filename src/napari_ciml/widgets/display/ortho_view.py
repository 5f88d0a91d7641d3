"""One more canvas beside napari's own, that shows the same layers in another plane."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer, Vectors
from napari.qt import QtViewer

from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.display.linked_layers import LinkedLayer, reorder_layers
from napari_ciml.widgets.gc_tuning import skip_gc_collect

_STILL = 3.0
"""Pixels up to which a press and a release are a click."""


class OrthogonalView:
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
        self.linked_layers: dict[Layer, LinkedLayer] = {}
        self.annotations = Annotations(self.model, corner=False)
        self.annotations.direction = direction
        self.order = order
        self.model.dims.events.point.connect(self._lead)
        self.model.mouse_drag_callbacks.append(crosshair_callback(main))

    def sync_layers(self) -> Iterator[None]:
        """Show the layers the viewer has, no more and no less; one step for each."""
        for layer in [layer for layer in self.linked_layers if layer not in self.main.layers]:
            mirror = self.linked_layers.pop(layer)
            mirror.close()
            with skip_gc_collect():
                self.model.layers.remove(mirror.layer)
            yield
        first = not self.linked_layers
        for layer in self.main.layers:
            if layer not in self.linked_layers:
                self.linked_layers[layer] = LinkedLayer(layer)
                self.model.layers.append(self.linked_layers[layer].layer)
                # At once: later on all of them would be cut anew.
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
            coming = self.annotations.show_stepwise()
            next(coming)
            self.model.reset_view()
            yield
            yield from coming

    def sync_point(self) -> None:
        """Go where the viewer is."""
        if self.linked_layers and self.model.dims.point != self.main.dims.point:
            self.model.dims.point = self.main.dims.point

    def close(self) -> None:
        """Follow no longer, and let the canvas go."""
        for mirror in self.linked_layers.values():
            mirror.close()
        self.linked_layers = {}
        self.model.mouse_drag_callbacks.clear()
        self.model.keymap.clear()
        with suppress(RuntimeError):
            self.canvas.close()
            self.canvas.deleteLater()

    def _lead(self, *_: object) -> None:
        """Take the viewer along when this plane's slider is moved."""
        through = self.order[0]
        if len(self.linked_layers) == len(self.main.layers) and self.canvas.isVisible():
            self.main.dims.set_point(through, self.model.dims.point[through])


def crosshair_callback(main: ViewerModel) -> Callable[[ViewerModel, Any], Iterator[None]]:
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


_COLOUR = "#4dd0e1"
_WIDTH = 0.5
"""Of a line, in voxels."""


def make_crosshair(viewer: ViewerModel) -> Vectors:
    """Return a layer with the crosshair of a viewer with three dimensions, in millimetres.

    It lies on the viewer's own steps, so that sliders keep theirs.
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
    """Move the crosshair to where the viewer is."""
    layer.data = _lines(viewer)


def _lines(viewer: ViewerModel) -> np.ndarray:
    """Return a line along each axis in steps: (3, 2, 3), its start and its length."""
    spans = np.array([tuple(span) for span in viewer.dims.range[-3:]])
    start, stop, step = spans.T
    lines = np.zeros((3, 2, 3))
    for axis in range(3):
        lines[axis, 0] = (np.array(viewer.dims.point[-3:]) - start) / step
        lines[axis, 0, axis] = 0
        lines[axis, 1, axis] = (stop[axis] - start[axis]) / step[axis]
    return lines
