"""The controller of looking: what keys, mouse and the dock *View* ask for."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from napari_ciml.cases.case import Case
from napari_ciml.review import Review
from napari_ciml.widgets.layers.looks import PET_COLOURS, set_limits
from napari_ciml.widgets.layers.origin import known_origin
from napari_ciml.widgets.layers.segmented import CaseLayers
from napari_ciml.widgets.looking import windows
from napari_ciml.widgets.looking.annotations import Annotations
from napari_ciml.widgets.looking.arranging import Arranging
from napari_ciml.widgets.looking.overlaid import Overlaid

if TYPE_CHECKING:
    from napari.components import ViewerModel

_MIDDLE, _LEFT = 3, 1


class Looking:
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
        Something that the dock shows is different now.
    """

    changed = Signal()

    def __init__(self, layers: CaseLayers, review: Review) -> None:
        self.layers, self.review = layers, review
        self.annotations = Annotations(layers.viewer)
        self.overlaid = Overlaid(layers.viewer)
        self.arranging = Arranging(layers, review, self.annotations, self._bind, self._arranged)
        self._flat: tuple[Any, Any, float] | None = None
        self._windows: dict[str, windows.Window] = {}
        self._gestures: list[Callable[..., object]] = []
        self.hear(self._drag)
        review.case_changed.connect(self._case_changed)

    @property
    def viewer(self) -> "ViewerModel":
        """The viewer."""
        return self.layers.viewer

    def modality(self) -> Image | None:
        """Return the modality that is looked at: the active one, else the topmost that is shown."""
        active, shown = self.viewer.layers.selection.active, self._visible_modalities()
        return active if active in shown else next(iter(shown), None)

    def window_of(self, layer: Image) -> windows.Window | None:
        """Return the window last chosen by name for a modality."""
        return self._windows.get(known_origin(layer).shows)

    def windows_of(self, layer: Image) -> tuple[windows.Window, ...]:
        """Return the windows there are for a modality."""
        shows = known_origin(layer).shows
        return windows.windows_of(shows, self._unit(shows))

    def next_modality(self, step: int = 1) -> None:
        """Show the next modality, or with -1 the one before; side by side, make it active."""
        found = self.layers.modalities()
        if not found:
            return
        current = self.modality()
        place = found.index(current) if current in found else -step
        chosen = found[(place + step) % len(found)]
        if not self.arranging.hanging.shown:
            self.layers.show_modality(known_origin(chosen).shows)
        if not isinstance(self.viewer.layers.selection.active, Labels):
            self.viewer.layers.selection.active = chosen
        self._say_window()

    def next_window(self, step: int = 1) -> None:
        """Take the next window there is for the modality, or the one before with -1."""
        layer = self.modality()
        if layer is None:
            return
        known = self.windows_of(layer)
        current = self.window_of(layer)
        place = known.index(current) if current in known else 0
        self.set_window(known[(place + step) % len(known)])

    def set_window(self, window: windows.Window) -> None:
        """Take a window by name."""
        layer = self.modality()
        if layer is not None:
            shows = known_origin(layer).shows
            self._windows[shows] = window
            limits = windows.limits_of(window, layer.data, shows, self._unit(shows))
            set_limits(layer, limits)

    def colours_of(self, layer: Image) -> dict[str, str]:
        """Return the colours there are for a modality, by name; none if it is grey and no more."""
        return PET_COLOURS if known_origin(layer).shows == "PET" else {}

    def set_colours(self, name: str) -> None:
        """Show the modality in colours by name."""
        layer = self.modality()
        if layer is not None and name in self.colours_of(layer):
            layer.colormap = self.colours_of(layer)[name]
            self.changed.emit()

    def toggle_zooming(self) -> None:
        """Let three planes zoom together, or each by itself."""
        planes = self.arranging.planes
        if planes is not None:
            zooming = planes.zooming
            zooming.together = not zooming.together
            how = "together" if zooming.together else "each by itself"
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
            self._flat = None if self.arranging.divided else flat
            if self.arranging.divided:
                self.arranging.arrange("single")
            viewer.dims.order, viewer.dims.ndisplay = (0, 1, 2), 3
            viewer.reset_view()
            camera.set_view_direction((0, 1, 0), (1, 0, 0))
        self.changed.emit()

    def toggle_annotations(self) -> None:
        """Show letters, scale and window at the borders, or hide them."""
        if self.review.case is not None:
            (self.annotations.hide if self.annotations.shown else self.annotations.show)()
            self.changed.emit()

    def annotate(self, case: Case) -> Iterator[None]:
        """Show letters, scale and window of a case that was opened, one after the other."""
        yield from self.annotations.appear(case.grid.direction)

    def hear(self, gesture: Callable[..., object]) -> None:
        """Call something for every press of the mouse, in the viewer and in further planes.

        It is called as napari calls what is in ``mouse_drag_callbacks``.
        """
        self._gestures.append(gesture)
        self.viewer.mouse_drag_callbacks.append(gesture)

    def go_to_mouse(self, model: "ViewerModel") -> None:
        """Move the crosshair, and every plane, to where the mouse is."""
        self.viewer.dims.point = tuple(model.cursor.position)

    def close(self) -> None:
        """Let mouse and window go."""
        self.changed.disconnect()
        self.arranging.close()
        for gesture in self._gestures:
            if gesture in self.viewer.mouse_drag_callbacks:
                self.viewer.mouse_drag_callbacks.remove(gesture)

    def _drag(self, _: object, event: Any) -> Iterator[None]:
        """Change window width (to the right: wider) and level (upwards: brighter) by dragging."""
        with_control = event.button == _LEFT and tuple(event.modifiers) == ("Control",)
        active = self.viewer.layers.selection.active
        tool = active is not None and active.mode != "pan_zoom"
        layer = self.arranging.hanging.modality_at(event.viewbox) or self.modality()
        if layer is None or tool or not (with_control or event.button == _MIDDLE):
            return
        start, limits = np.array(event.pos), tuple(layer.contrast_limits)
        yield
        while event.type == "mouse_move":
            right, down = np.array(event.pos) - start
            set_limits(layer, windows.dragged(limits, right, down))
            self._windows.pop(known_origin(layer).shows, None)
            self.viewer.status = windows.describe(layer.contrast_limits)
            yield

    def _unit(self, modality: str) -> str:
        case = self.review.case
        return case.units.get(modality, "") if case is not None else ""

    def _visible_modalities(self) -> list[Image]:
        return [layer for layer in self.layers.modalities() if layer.visible]

    def _case_changed(self) -> None:
        case = self.review.case
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
        layer = self.modality()
        if layer is None:
            return
        chosen = self.window_of(layer)
        name = f"  ({chosen.name})" if chosen is not None else ""
        limits = tuple(layer.contrast_limits)
        self.annotations.say(f"{known_origin(layer).shows}  {windows.describe(limits)}{name}")
        self.changed.emit()

    def _arranged(self) -> None:
        self._say_window()
        self.changed.emit()

    def _bind(self, model: "ViewerModel") -> None:
        from napari_ciml.widgets.looking.keys import bind

        bind(self, model)
        model.mouse_drag_callbacks.extend(self._gestures)
