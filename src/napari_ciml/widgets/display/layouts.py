"""How a case is arranged: one plane, every modality in a pane, three planes, two label maps."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from napari.layers import Image, Labels, Layer

from napari_ciml.session.model import SessionModel
from napari_ciml.session.storage.schema import Arrangement
from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.display.label_map_pair import LabelMapPairLayout
from napari_ciml.widgets.display.side_by_side import SideBySideLayout
from napari_ciml.widgets.layers.case_layers import CaseLayers

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ciml.widgets.display.ortho_views import OrthogonalViews

_Place = Arrangement | Literal["pair"]


class LayoutManager:
    """Goes from one arrangement to another, in turns of the event loop and by way of one plane.

    Parameters
    ----------
    layers : CaseLayers
        Of the viewer.
    review : Review
        Whose case is shown.
    annotations : Annotations
        Of its canvas.
    bind : callable
        Binds keys and mouse to a further canvas.
    arranged : callable
        Called when something is arranged otherwise.
    """

    def __init__(
        self,
        layers: CaseLayers,
        model: SessionModel,
        annotations: Annotations,
        bind: Callable[["ViewerModel"], None],
        arranged: Callable[[], None],
    ) -> None:
        self.layers, self.model, self.on_canvas_added, self.on_changed = (
            layers,
            model,
            bind,
            arranged,
        )
        self.side_by_side = SideBySideLayout(layers, annotations, self._step)
        self.label_map_pair = LabelMapPairLayout(layers, annotations, self._step)
        self.orthogonal_views: OrthogonalViews | None = None
        self._pair: tuple[Image, tuple[Labels, Labels]] | None = None
        self._wanted: _Place | None = None
        self._closed = False

    @property
    def current(self) -> Arrangement:
        """How the case is arranged, or on the way to be; two label maps are one plane."""
        place = self._wanted or self._there
        return "single" if place == "pair" else place

    @property
    def busy(self) -> bool:
        """Whether it is on the way to another arrangement."""
        return self._wanted is not None or self._under_way

    @property
    def shows_pair(self) -> bool:
        """Whether two label maps are side by side, or on the way to be."""
        return (self._wanted or self._there) == "pair"

    @property
    def has_panes(self) -> bool:
        """Whether the canvas has several panes."""
        return self.side_by_side.shown or self.label_map_pair.shown

    @property
    def zoom_factor(self) -> float:
        """How much larger one plane would be shown alone, at the same view."""
        for part in (self.side_by_side, self.label_map_pair):
            if part.shown:
                return part.zoom_factor
        return (
            self.orthogonal_views.zoom_factor
            if self.orthogonal_views is not None and self.orthogonal_views.shown
            else 1.0
        )

    def toggle(self, wanted: Arrangement) -> None:
        """Arrange so, or go back to one plane."""
        self.arrange("single" if self.current == wanted else wanted)

    def arrange(self, wanted: Arrangement) -> None:
        """Arrange so, once what is under way is done."""
        if self.model.case is not None:
            self._wanted = wanted
            self._go_on()

    def pair(self, modality: Image, first: Labels, second: Labels) -> None:
        """Show two label maps side by side over a modality."""
        self._pair, self._wanted = (modality, (first, second)), "pair"
        self._go_on()

    def visible_alone(self, layer: Layer) -> bool:
        """Whether a layer would be visible with one plane."""
        return (
            self.label_map_pair if self.label_map_pair.shown else self.side_by_side
        ).visible_alone(layer)

    def to_single(self) -> Iterator[None]:
        """Go back to one plane; a generator that ends when it is there."""
        self.arrange("single")
        while self.busy and not self._closed:
            yield

    def close(self) -> None:
        """Let the window go."""
        self._closed = True
        self.side_by_side.close()
        self.label_map_pair.close()
        if self.orthogonal_views is not None:
            self.orthogonal_views.close()

    @property
    def _there(self) -> _Place:
        if self.side_by_side.shown:
            return "panes"
        if self.label_map_pair.shown:
            return "pair"
        return (
            "planes"
            if self.orthogonal_views is not None and self.orthogonal_views.shown
            else "single"
        )

    @property
    def _under_way(self) -> bool:
        parts = (self.side_by_side, self.label_map_pair)
        return any(part.busy for part in parts) or (
            self.orthogonal_views is not None and self.orthogonal_views.busy
        )

    def _step(self) -> None:
        self._go_on()
        self.on_changed()

    def _go_on(self) -> None:
        """Begin the next step to what is wanted, if none is under way."""
        if self._wanted is None or self._under_way or self._closed:
            return
        if self._there == self._wanted:
            self._wanted = None
        elif self._there != "single":
            self._leave()
        else:
            wanted, self._wanted = self._wanted, None
            self.layers.viewer.dims.ndisplay = 2
            self._show(wanted)

    def _leave(self) -> None:
        for part in (self.side_by_side, self.label_map_pair):
            part.restore()
        if self.orthogonal_views is not None:
            self.orthogonal_views.restore()

    def _show(self, wanted: _Place) -> None:
        case = self.model.case
        if wanted == "panes":
            self.side_by_side.show()
        elif wanted == "pair" and self._pair is not None:
            self.label_map_pair.show(*self._pair)
        elif case is not None and getattr(self.layers.viewer, "window", None) is not None:
            self._made().show(case.grid.direction)

    def _made(self) -> "OrthogonalViews":
        if self.orthogonal_views is None:
            from napari_ciml.widgets.display.ortho_views import OrthogonalViews

            self.orthogonal_views = OrthogonalViews(
                self.layers.viewer, self._step, self.on_canvas_added
            )
        return self.orthogonal_views
