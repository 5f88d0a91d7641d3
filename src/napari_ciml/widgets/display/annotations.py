"""Annotations of a canvas: orientation letters, scale bar, window/level; camera orientation."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from weakref import ref

from napari.components.overlays import TextOverlay

from napari_ciml.cases.orientation import RadiologicalOrientation, radiological_orientation

if TYPE_CHECKING:
    from napari.components import ViewerModel

_POSITIONS = {
    "left": "middle_left",
    "right": "middle_right",
    "top": "top_center",
    "bottom": "bottom_center",
}
_KEY = "ciml_"
_COLOUR = "#ffd54f"
_SMALL = 8
_MAX_BAR_PIXELS = 80
"""Maximum length in pixels of the scale bar of a small canvas."""

_LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Lengths of the scale bar in mm."""

_LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


class Annotations:
    """Orientation letters, scale bar and corner text of a viewer; they follow its planes.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Viewer whose canvas is annotated.
    corner : bool
        Show the plane and the window/level in the lower left corner.
    """

    def __init__(self, viewer: "ViewerModel", *, corner: bool = True) -> None:
        self._viewer = ref(viewer)
        self.direction: Sequence[float] = _LPS
        self.corner_text = ""
        self._shown = False
        self._pending: set[str] = set()
        overlays = viewer.canvas.overlays
        for side in _POSITIONS:
            self._add_letter(side)
        self._corner = corner
        if corner:
            overlays[_KEY + "corner"] = TextOverlay(
                position="bottom_left", box=False, color=_COLOUR, font_size=9
            )
        viewer.canvas.grid.events.enabled.connect(self.refresh)
        viewer.scene.camera.events.zoom.connect(self._fit_scale)
        viewer.dims.events.order.connect(self.refresh)
        viewer.dims.events.ndisplay.connect(self.refresh)

    @property
    def orientation(self) -> RadiologicalOrientation:
        """Radiological orientation of the displayed plane."""
        viewer = self._viewer()
        order = viewer.dims.order[-3:] if viewer is not None else (0, 1, 2)
        return radiological_orientation(
            self.direction, order if sorted(order) == [0, 1, 2] else (0, 1, 2)
        )

    @property
    def shown(self) -> bool:
        """Whether the annotations are shown."""
        return self._shown

    def show(self, direction: Sequence[float] | None = None) -> None:
        """Show the annotations, for a case with these direction cosines."""
        self.direction = direction or self.direction
        self._shown = True
        self.refresh()

    def show_stepwise(self, direction: Sequence[float] | None = None) -> Iterator[None]:
        """Hide the annotations, then show them one by one, as drawing each first takes a while.

        A generator: each step has its own turn of the event loop.
        """
        viewer = self._viewer()
        if viewer is None:
            return
        # New overlays: napari miscounts one that is shown in more panes than before.
        letters = dict.fromkeys(_POSITIONS)
        for side in letters:  # may be missing if this runs already
            viewer.canvas.overlays.pop(_KEY + side, None)
        self._pending = {_KEY + "corner", "scale_bar"}
        try:
            self.show(direction)
            for side in _POSITIONS:
                yield
                del letters[side]
                self._add_letter(side)
                self.refresh()
            yield
            self._pending.discard("scale_bar")
            self.refresh()
            yield
            self._pending = set()
            self.refresh()
        finally:
            self._pending = set()
            for side in letters:
                self._add_letter(side)

    def hide(self) -> None:
        """Hide the annotations; the camera orientation stays."""
        self._shown = False
        self.refresh()

    def set_corner_text(self, text: str) -> None:
        """Set the first line of the corner text, above the plane."""
        self.corner_text = text
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Update the annotations to the displayed plane."""
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndim < 3:
            return
        orientation, overlays = self.orientation, viewer.canvas.overlays
        if self._shown:
            viewer.scene.camera.orientation = (
                orientation.depth,
                orientation.vertical,
                orientation.horizontal,
            )
        in_plane = self._shown and viewer.dims.ndisplay == 2
        for side in _POSITIONS:
            if _KEY + side in overlays:
                overlays[_KEY + side].text = getattr(orientation, side)
                self._set_visible(_KEY + side, in_plane)
        if self._corner:
            overlays[_KEY + "corner"].text = self._corner_lines()
            # In a pane of a grid there is no room next to the letter at the bottom.
            self._set_visible(_KEY + "corner", in_plane and not viewer.canvas.grid.enabled)
        self._fit_scale()
        self._set_visible("scale_bar", self._shown)

    def _corner_lines(self) -> str:
        return (
            "\n".join(filter(None, (self.corner_text, self.orientation.describe())))
            if self._corner
            else ""
        )

    def _add_letter(self, side: str) -> None:
        viewer = self._viewer()
        if viewer is not None:
            viewer.canvas.overlays[_KEY + side] = TextOverlay(
                position=_POSITIONS[side], gridded=True, box=False, color=_COLOUR, font_size=13
            )

    def _set_visible(self, name: str, visible: bool) -> None:
        viewer = self._viewer()
        if viewer is not None:
            viewer.canvas.overlays[name].visible = visible and name not in self._pending

    def _fit_scale(self, *_: object) -> None:
        """Shorten the scale bar of a small canvas, so that it does not overlap the letter."""
        viewer = self._viewer()
        if viewer is None:
            return
        bar = viewer.canvas.overlays["scale_bar"]
        if self._corner and not viewer.canvas.grid.enabled:
            bar.length = None
            return
        max_length = _MAX_BAR_PIXELS / viewer.scene.camera.zoom
        bar.length = max((mm for mm in _LENGTHS if mm <= max_length), default=None)
        bar.font_size, bar.box = _SMALL, False
