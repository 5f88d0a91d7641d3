"""What stands at the borders of a canvas: sides of the patient, scale, window; and no mirroring."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import ref

from napari.components.overlays import ScaleBarOverlay, TextOverlay

from napari_ciml.cases.view import View, view_of

if TYPE_CHECKING:
    from napari.components import ViewerModel

_PLACES = {
    "left": "middle_left",
    "right": "middle_right",
    "top": "top_center",
    "bottom": "bottom_center",
}
_KEY = "ciml_"
_COLOUR = "#ffd54f"
_SMALL = 8
_LENGTHS = (5, 10, 20, 50, 100, 200, 500)
"""In millimetres."""

_LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


class Annotations:
    """The letters of one viewer; they follow its planes.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose canvas is annotated.
    corner : bool
        Whether there is a corner with plane and window in words.
    """

    def __init__(self, viewer: "ViewerModel", *, corner: bool = True) -> None:
        self._viewer = ref(viewer)
        self.direction: Sequence[float] = _LPS
        self.words = ""
        self._shown = False
        overlays = viewer.canvas.overlays
        for side, place in _PLACES.items():
            overlays[_KEY + side] = TextOverlay(
                position=place, gridded=True, box=False, color=_COLOUR, font_size=13
            )
        if corner:
            overlays[_KEY + "corner"] = TextOverlay(
                position="bottom_left", box=False, color=_COLOUR, font_size=9
            )
        viewer.canvas.grid.events.enabled.connect(self.refresh)
        viewer.dims.events.order.connect(self.refresh)
        viewer.dims.events.ndisplay.connect(self.refresh)

    @property
    def view(self) -> View:
        """How the planes shown lie."""
        viewer = self._viewer()
        order = viewer.dims.order[-3:] if viewer is not None else (0, 1, 2)
        return view_of(self.direction, order if sorted(order) == [0, 1, 2] else (0, 1, 2))

    @property
    def shown(self) -> bool:
        """Whether they are there."""
        return self._shown

    def show(self, direction: Sequence[float] | None = None) -> None:
        """Show them, for a case with these direction cosines."""
        self.direction = direction or self.direction
        self._shown = True
        self.refresh()

    def hide(self) -> None:
        """Take them away; the picture stays as it lies."""
        self._shown = False
        self.refresh()

    def say(self, words: str) -> None:
        """Say something in the corner, above the plane."""
        self.words = words
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Follow the planes shown."""
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndim < 3:
            return
        view, overlays = self.view, viewer.canvas.overlays
        if self._shown:
            viewer.scene.camera.orientation = (view.depth, view.vertical, view.horizontal)
        flat = self._shown and viewer.dims.ndisplay == 2
        for side in _PLACES:
            overlays[_KEY + side].text = getattr(view, side)
            overlays[_KEY + side].visible = flat
        if _KEY + "corner" in overlays:
            lines = (self.words, view.describe())
            overlays[_KEY + "corner"].text = "\n".join(filter(None, lines))
            # In a pane of a grid there is no room beside the letter at the bottom.
            overlays[_KEY + "corner"].visible = flat and not viewer.canvas.grid.enabled
        if viewer.canvas.grid.enabled or _KEY + "corner" not in overlays:
            _shorten(overlays.scale_bar, viewer)
        else:
            overlays.scale_bar.length = None
        overlays.scale_bar.visible = self._shown


def _shorten(bar: ScaleBarOverlay, viewer: "ViewerModel") -> None:
    """Leave room for the letter at the bottom of a small canvas."""
    span = viewer.dims.range[viewer.dims.displayed[-1]]
    bar.length = max((mm for mm in _LENGTHS if mm <= (span.stop - span.start) / 4), default=None)
    bar.font_size, bar.box = _SMALL, False
