"""The controller of looking: what keys, mouse and the dock *View* ask for."""

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
    """How the case of a viewer is looked at.

    Parameters
    ----------
    layers : CaseLayers
        Of the viewer.
    review : Review
        Whose case is shown.

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
            layers, model, self.annotations, self._on_canvas, self._arranged
        )
        self._flat: tuple[Any, Any, float] | None = None
        self._windows: dict[str, window_level.WindowPreset] = {}
        self._gestures: list[Callable[..., object]] = []
        self.add_mouse_callback(self._drag)
        model.case_changed.connect(self._case_changed)

    @property
    def viewer(self) -> "ViewerModel":
        """The viewer."""
        return self.layers.viewer

    def active_modality(self) -> Image | None:
        """Return the modality that is looked at: the active one, else the topmost that is shown."""
        active, shown = self.viewer.layers.selection.active, self._visible_modalities()
        return active if active in shown else next(iter(shown), None)

    def window_preset(self, layer: Image) -> window_level.WindowPreset | None:
        """Return the window last chosen by name for a modality."""
        return self._windows.get(require_metadata(layer).shows)

    def window_presets(self, layer: Image) -> tuple[window_level.WindowPreset, ...]:
        """Return the windows there are for a modality."""
        shows = require_metadata(layer).shows
        return window_level.window_presets_of(shows, self._unit(shows))

    def next_modality(self, step: int = 1) -> None:
        """Show the next modality, or with -1 the one before; side by side, make it active."""
        found = self.layers.modalities()
        if not found:
            return
        current = self.active_modality()
        place = found.index(current) if current in found else -step
        chosen = found[(place + step) % len(found)]
        if not self.layouts.side_by_side.shown:
            self.layers.show_modality(require_metadata(chosen).shows)
        if not isinstance(self.viewer.layers.selection.active, Labels):
            self.viewer.layers.selection.active = chosen
        self._say_window()

    def next_window(self, step: int = 1) -> None:
        """Take the next window there is for the modality, or the one before with -1."""
        layer = self.active_modality()
        if layer is None:
            return
        known = self.window_presets(layer)
        current = self.window_preset(layer)
        place = known.index(current) if current in known else 0
        self.set_window(known[(place + step) % len(known)])

    def set_window(self, window: window_level.WindowPreset) -> None:
        """Take a window by name."""
        layer = self.active_modality()
        if layer is not None:
            shows = require_metadata(layer).shows
            self._windows[shows] = window
            limits = window_level.preset_limits(window, layer.data, shows, self._unit(shows))
            set_contrast_limits(layer, limits)

    def colormaps_of(self, layer: Image) -> dict[str, str]:
        """Return the colours there are for a modality, by name; none if it is grey and no more."""
        return PET_COLOURS if require_metadata(layer).shows == "PET" else {}

    def set_colormap(self, name: str) -> None:
        """Show the modality in colours by name."""
        layer = self.active_modality()
        if layer is not None and name in self.colormaps_of(layer):
            layer.colormap = self.colormaps_of(layer)[name]
            self.changed.emit()

    def toggle_linked_zoom(self) -> None:
        """Let three planes zoom together, or each by itself."""
        planes = self.layouts.orthogonal_views
        if planes is not None:
            zooming = planes.linked_zoom
            zooming.linked = not zooming.linked
            how = "together" if zooming.linked else "each by itself"
            self.viewer.status = f"The planes zoom {how}"

    def toggle_3d(self) -> None:
        """Show the volume from the front, head up, or a plane again as it was."""
        viewer = self.viewer
        camera = viewer.scene.camera
        if viewer.dims.ndisplay == 3:
            viewer.dims.ndisplay = 2
            if self._flat is not None:
                viewer.dims.point, camera.center, camera.zoom = self._flat
        else:
            flat = (viewer.dims.point, camera.center, camera.zoom)
            self._flat = None if self.layouts.has_panes else flat
            if self.layouts.has_panes:
                self.layouts.arrange("single")
            viewer.dims.order, viewer.dims.ndisplay = (0, 1, 2), 3
            viewer.reset_view()
            camera.set_view_direction((0, 1, 0), (1, 0, 0))
        self.changed.emit()

    def toggle_annotations(self) -> None:
        """Show letters, scale and window at the borders, or hide them."""
        if self.model.case is not None:
            (self.annotations.hide if self.annotations.shown else self.annotations.show)()
            self.changed.emit()

    def annotate(self, case: Case) -> Iterator[None]:
        """Show letters, scale and window of a case that was opened, one after the other."""
        yield from self.annotations.show_stepwise(case.grid.direction)

    def add_mouse_callback(self, gesture: Callable[..., object]) -> None:
        """Call something for every press of the mouse, in the viewer and in further planes.

        It is called as napari calls what is in ``mouse_drag_callbacks``.
        """
        self._gestures.append(gesture)
        self.viewer.mouse_drag_callbacks.append(gesture)

    def move_crosshair_to_cursor(self, viewer: "ViewerModel") -> None:
        """Move the crosshair, and every plane, to where the mouse is."""
        self.viewer.dims.point = tuple(viewer.cursor.position)

    def close(self) -> None:
        """Let mouse and window go."""
        self.changed.disconnect()
        self.canvas_added.disconnect()
        self.layouts.close()
        for gesture in self._gestures:
            if gesture in self.viewer.mouse_drag_callbacks:
                self.viewer.mouse_drag_callbacks.remove(gesture)

    def _drag(self, _: object, event: Any) -> Iterator[None]:
        """Change window width (to the right: wider) and level (upwards: brighter) by dragging."""
        with_control = event.button == _LEFT and tuple(event.modifiers) == ("Control",)
        active = self.viewer.layers.selection.active
        tool = active is not None and active.mode != "pan_zoom"
        layer = self.layouts.side_by_side.modality_at(event.viewbox) or self.active_modality()
        if layer is None or tool or not (with_control or event.button == _MIDDLE):
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
        self._flat = None
        for layer in self.layers.modalities():
            layer.events.contrast_limits.connect(self._say_window)
            layer.events.visible.connect(self._say_window)
        self.viewer.layers.selection.events.active.connect(self._say_window)
        self._say_window()

    def _say_window(self, *_: object) -> None:
        layer = self.active_modality()
        if layer is None:
            return
        chosen = self.window_preset(layer)
        name = f"  ({chosen.name})" if chosen is not None else ""
        limits = tuple(layer.contrast_limits)
        self.annotations.set_corner_text(
            f"{require_metadata(layer).shows}  {window_level.describe_window(limits)}{name}"
        )
        self.changed.emit()

    def _arranged(self) -> None:
        self._say_window()
        self.changed.emit()

    def _on_canvas(self, viewer: "ViewerModel") -> None:
        self.canvas_added.emit(viewer)
        viewer.mouse_drag_callbacks.extend(self._gestures)
