"""What stands at the borders of a canvas: sides of the patient, scale, window; and no mirroring."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from weakref import ref

from napari.components.overlays import TextOverlay

from napari_ciml.cases.orientation import RadiologicalOrientation, radiological_orientation

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
_SHORT_BAR = 80
"""Pixels that a scale may be long where there is little room."""

_AT_ONCE = 10
"""Characters of the corner that appear at once: napari draws each for the first time large."""

_LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
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
        self.corner_text = ""
        self._shown = False
        self._said: int | None = None
        self._coming: set[str] = set()
        overlays = viewer.canvas.overlays
        for side in _PLACES:
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
        """How the planes shown lie."""
        viewer = self._viewer()
        order = viewer.dims.order[-3:] if viewer is not None else (0, 1, 2)
        return radiological_orientation(
            self.direction, order if sorted(order) == [0, 1, 2] else (0, 1, 2)
        )

    @property
    def shown(self) -> bool:
        """Whether they are there."""
        return self._shown

    def show(self, direction: Sequence[float] | None = None) -> None:
        """Show them, for a case with these direction cosines."""
        self.direction = direction or self.direction
        self._shown = True
        self.refresh()

    def show_stepwise(self, direction: Sequence[float] | None = None) -> Iterator[None]:
        """Show them one after the other, after none of them; each is drawn for a while at first.

        A generator: between its steps the window can breathe.
        """
        viewer = self._viewer()
        if viewer is None:
            return
        # Letters are made anew: napari loses count of one that is shown in more panes than before.
        letters = dict.fromkeys(_PLACES)
        for side in letters:  # one that is coming already may not be there
            viewer.canvas.overlays.pop(_KEY + side, None)
        self._coming = {_KEY + "corner", "scale_bar"}
        try:
            self.show(direction)
            for side in _PLACES:
                yield
                del letters[side]
                self._add_letter(side)
                self.refresh()
            yield
            self._coming.discard("scale_bar")
            self.refresh()
            self._coming = set()
            for said in range(_AT_ONCE, len(self._in_the_corner()), _AT_ONCE):
                yield
                self._said = said
                self.refresh()
            yield
            self._said = None
            self.refresh()
        finally:
            self._coming, self._said = set(), None
            for side in letters:
                self._add_letter(side)

    def hide(self) -> None:
        """Take them away; the picture stays as it lies."""
        self._shown = False
        self.refresh()

    def set_corner_text(self, words: str) -> None:
        """Say something in the corner, above the plane."""
        self.corner_text = words
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Follow the planes shown."""
        viewer = self._viewer()
        if viewer is None or viewer.dims.ndim < 3:
            return
        view, overlays = self.orientation, viewer.canvas.overlays
        if self._shown:
            viewer.scene.camera.orientation = (view.depth, view.vertical, view.horizontal)
        flat = self._shown and viewer.dims.ndisplay == 2
        for side in _PLACES:
            if _KEY + side in overlays:
                overlays[_KEY + side].text = getattr(view, side)
                self._set_visible(_KEY + side, flat)
        if self._corner:
            overlays[_KEY + "corner"].text = self._in_the_corner()[: self._said]
            # In a pane of a grid there is no room beside the letter at the bottom.
            self._set_visible(_KEY + "corner", flat and not viewer.canvas.grid.enabled)
        self._fit_scale()
        self._set_visible("scale_bar", self._shown)

    def _in_the_corner(self) -> str:
        return (
            "\n".join(filter(None, (self.corner_text, self.orientation.describe())))
            if self._corner
            else ""
        )

    def _add_letter(self, side: str) -> None:
        viewer = self._viewer()
        if viewer is not None:
            viewer.canvas.overlays[_KEY + side] = TextOverlay(
                position=_PLACES[side], gridded=True, box=False, color=_COLOUR, font_size=13
            )

    def _set_visible(self, name: str, wanted: bool) -> None:
        viewer = self._viewer()
        if viewer is not None:
            viewer.canvas.overlays[name].visible = wanted and name not in self._coming

    def _fit_scale(self, *_: object) -> None:
        """Leave room for the letter at the bottom of a small canvas."""
        viewer = self._viewer()
        if viewer is None:
            return
        bar = viewer.canvas.overlays["scale_bar"]
        if self._corner and not viewer.canvas.grid.enabled:
            bar.length = None
            return
        longest = _SHORT_BAR / viewer.scene.camera.zoom
        bar.length = max((mm for mm in _LENGTHS if mm <= longest), default=None)
        bar.font_size, bar.box = _SMALL, False
