"""Controller of the display: intents of keys, mouse and the dock widget *View*."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from napari_ciml.cases.case import Case
from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.display import window_level
from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.display.layouts import LayoutManager
from napari_ciml.widgets.display.overlay_visibility import OverlayVisibility
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.colormaps import PET_COLOURS, set_contrast_limits
from napari_ciml.widgets.layers.metadata import require_metadata

if TYPE_CHECKING:
    from napari.components import ViewerModel

_MIDDLE, _LEFT = 3, 1


class DisplayController:
    """Layout, window/level, colormap and annotations of a viewer.

    Parameters
    ----------
    layers : CaseLayers
        Layers of the viewer.
    model : SessionModel
        Session model with the open case.

    Signals
    -------
    changed()
        The layout, the modality, its window/level or its colormap has changed.
    canvas_added(ViewerModel)
        A further canvas was built, for an orthogonal plane.
    """

    changed = Signal()
    canvas_added = Signal(object)

    def __init__(self, layers: CaseLayers, model: SessionModel) -> None:
        self.layers, self.model = layers, model
        self.annotations = Annotations(layers.viewer)
        self.overlays = OverlayVisibility(layers.viewer)
        self.layouts = LayoutManager(
            layers, model, self.annotations, self._on_canvas, self._on_layout
        )
        self._plane_view: tuple[Any, Any, float] | None = None
        self._windows: dict[str, window_level.WindowPreset] = {}
        self._callbacks: list[Callable[..., object]] = []
        self.add_mouse_callback(self._drag)
        model.case_changed.connect(self._case_changed)

    @property
    def viewer(self) -> "ViewerModel":
        """The viewer that is controlled."""
        return self.layers.viewer

    def active_modality(self) -> Image | None:
        """Return the active modality, else the topmost visible one."""
        active, visible = self.viewer.layers.selection.active, self._visible_modalities()
        return active if active in visible else next(iter(visible), None)

    def window_preset(self, layer: Image) -> window_level.WindowPreset | None:
        """Return the preset last chosen for a modality, None if its limits were changed since."""
        return self._windows.get(require_metadata(layer).shows)

    def window_presets(self, layer: Image) -> tuple[window_level.WindowPreset, ...]:
        """Return the window/level presets of a modality."""
        shows = require_metadata(layer).shows
        return window_level.window_presets_of(shows, self._unit(shows))

    def next_modality(self, step: int = 1) -> None:
        """Show the next modality, or the previous one with -1; side by side, make it active."""
        modalities = self.layers.modalities()
        if not modalities:
            return
        current = self.active_modality()
        index = modalities.index(current) if current in modalities else -step
        layer = modalities[(index + step) % len(modalities)]
        if not self.layouts.side_by_side.shown:
            self.layers.show_modality(require_metadata(layer).shows)
        if not isinstance(self.viewer.layers.selection.active, Labels):
            self.viewer.layers.selection.active = layer
        self._update_window()

    def next_window(self, step: int = 1) -> None:
        """Apply the next window/level preset of the active modality, or the previous with -1."""
        layer = self.active_modality()
        if layer is None:
            return
        presets = self.window_presets(layer)
        current = self.window_preset(layer)
        index = presets.index(current) if current in presets else 0
        self.set_window(presets[(index + step) % len(presets)])

    def set_window(self, window: window_level.WindowPreset) -> None:
        """Apply a window/level preset to the active modality."""
        layer = self.active_modality()
        if layer is not None:
            shows = require_metadata(layer).shows
            self._windows[shows] = window
            limits = window_level.preset_limits(window, layer.data, shows, self._unit(shows))
            set_contrast_limits(layer, limits)

    def colormaps_of(self, layer: Image) -> dict[str, str]:
        """Return the colormaps to choose from for a modality, by display name."""
        return PET_COLOURS if require_metadata(layer).shows == "PET" else {}

    def set_colormap(self, name: str) -> None:
        """Apply a colormap to the active modality, by display name."""
        layer = self.active_modality()
        if layer is not None and name in self.colormaps_of(layer):
            layer.colormap = self.colormaps_of(layer)[name]
            self.changed.emit()

    def toggle_linked_zoom(self) -> None:
        """Link or unlink the zoom of the three planes."""
        planes = self.layouts.orthogonal_views
        if planes is not None:
            linked_zoom = planes.linked_zoom
            linked_zoom.linked = not linked_zoom.linked
            state = "linked" if linked_zoom.linked else "independent"
            self.viewer.status = f"Zoom of the planes: {state}"

    def toggle_3d(self) -> None:
        """Show the volume in 3-D from the front, head up, or the previous plane again."""
        viewer = self.viewer
        camera = viewer.scene.camera
        if viewer.dims.ndisplay == 3:
            viewer.dims.ndisplay = 2
            if self._plane_view is not None:
                viewer.dims.point, camera.center, camera.zoom = self._plane_view
        else:
            view = (viewer.dims.point, camera.center, camera.zoom)
            self._plane_view = None if self.layouts.has_panes else view
            if self.layouts.has_panes:
                self.layouts.arrange("single")
            viewer.dims.order, viewer.dims.ndisplay = (0, 1, 2), 3
            viewer.reset_view()
            camera.set_view_direction((0, 1, 0), (1, 0, 0))
        self.changed.emit()

    def toggle_annotations(self) -> None:
        """Show or hide orientation letters, scale bar and window/level."""
        if self.model.case is not None:
            (self.annotations.hide if self.annotations.shown else self.annotations.show)()
            self.changed.emit()

    def annotate(self, case: Case) -> Iterator[None]:
        """Show the annotations of a case that was opened, one per event-loop turn."""
        yield from self.annotations.show_stepwise(case.grid.direction)

    def add_mouse_callback(self, callback: Callable[..., object]) -> None:
        """Add a callback to ``mouse_drag_callbacks`` of the viewer and of further canvases."""
        self._callbacks.append(callback)
        self.viewer.mouse_drag_callbacks.append(callback)

    def move_crosshair_to_cursor(self, viewer: "ViewerModel") -> None:
        """Move the crosshair and every plane to the cursor of a viewer."""
        self.viewer.dims.point = tuple(viewer.cursor.position)

    def close(self) -> None:
        """Disconnect from the viewer."""
        self.changed.disconnect()
        self.canvas_added.disconnect()
        self.layouts.close()
        for callback in self._callbacks:
            if callback in self.viewer.mouse_drag_callbacks:
                self.viewer.mouse_drag_callbacks.remove(callback)

    def _drag(self, _: object, event: Any) -> Iterator[None]:
        """Change window width (right: wider) and level (up: brighter) by dragging."""
        with_control = event.button == _LEFT and tuple(event.modifiers) == ("Control",)
        active = self.viewer.layers.selection.active
        tool_active = active is not None and active.mode != "pan_zoom"
        layer = self.layouts.side_by_side.modality_at(event.viewbox) or self.active_modality()
        if layer is None or tool_active or not (with_control or event.button == _MIDDLE):
            return
        start, limits = np.array(event.pos), tuple(layer.contrast_limits)
        yield
        while event.type == "mouse_move":
            right, down = np.array(event.pos) - start
            set_contrast_limits(layer, window_level.window_after_drag(limits, right, down))
            self._windows.pop(require_metadata(layer).shows, None)
            self.viewer.status = window_level.describe_window(layer.contrast_limits)
            yield

    def _unit(self, modality: str) -> str:
        case = self.model.case
        return case.units.get(modality, "") if case is not None else ""

    def _visible_modalities(self) -> list[Image]:
        return [layer for layer in self.layers.modalities() if layer.visible]

    def _case_changed(self) -> None:
        case = self.model.case
        if case is None:
            return
        self._windows.clear()
        self._plane_view = None
        for layer in self.layers.modalities():
            layer.events.contrast_limits.connect(self._update_window)
            layer.events.visible.connect(self._update_window)
        self.viewer.layers.selection.events.active.connect(self._update_window)
        self._update_window()

    def _update_window(self, *_: object) -> None:
        layer = self.active_modality()
        if layer is None:
            return
        preset = self.window_preset(layer)
        name = f"  ({preset.name})" if preset is not None else ""
        limits = tuple(layer.contrast_limits)
        self.annotations.set_corner_text(
            f"{require_metadata(layer).shows}  {window_level.describe_window(limits)}{name}"
        )
        self.changed.emit()

    def _on_layout(self) -> None:
        self._update_window()
        self.changed.emit()

    def _on_canvas(self, viewer: "ViewerModel") -> None:
        self.canvas_added.emit(viewer)
        viewer.mouse_drag_callbacks.extend(self._callbacks)
