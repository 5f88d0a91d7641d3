"""Switch between layouts: single plane, modalities side by side, three planes, two label maps."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from napari.layers import Image, Labels, Layer

from napari_ciml.session.model import SessionModel
from napari_ciml.session.view_state import Arrangement
from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.display.label_map_pair import LabelMapPairLayout
from napari_ciml.widgets.display.side_by_side import SideBySideLayout
from napari_ciml.widgets.layers.case_layers import CaseLayers

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ciml.widgets.display.ortho_views import OrthogonalViews

_Layout = Arrangement | Literal["pair"]


class LayoutManager:
    """Switch layouts step by step in the event loop, always by way of a single plane.

    Parameters
    ----------
    layers : CaseLayers
        Layers of the viewer.
    model : SessionModel
        Session model with the open case.
    annotations : Annotations
        Annotations of the canvas.
    on_canvas_added : callable
        Called with the viewer model of a further canvas.
    on_changed : callable
        Called when the layout has changed.
    """

    def __init__(
        self,
        layers: CaseLayers,
        model: SessionModel,
        annotations: Annotations,
        on_canvas_added: Callable[["ViewerModel"], None],
        on_changed: Callable[[], None],
    ) -> None:
        self.layers, self.model = layers, model
        self.on_canvas_added, self.on_changed = on_canvas_added, on_changed
        self.side_by_side = SideBySideLayout(layers, annotations, self._step)
        self.label_map_pair = LabelMapPairLayout(layers, annotations, self._step)
        self.orthogonal_views: OrthogonalViews | None = None
        self._pair: tuple[Image, tuple[Labels, Labels]] | None = None
        self._pending: _Layout | None = None
        self._closed = False

    @property
    def current(self) -> Arrangement:
        """Current or pending layout; two label maps count as a single plane."""
        layout = self._pending or self._shown
        return "single" if layout == "pair" else layout

    @property
    def busy(self) -> bool:
        """Whether the layout is being changed."""
        return self._pending is not None or self._changing

    @property
    def shows_pair(self) -> bool:
        """Whether two label maps are shown side by side, or will be."""
        return (self._pending or self._shown) == "pair"

    @property
    def has_panes(self) -> bool:
        """Whether the canvas is divided into panes."""
        return self.side_by_side.shown or self.label_map_pair.shown

    @property
    def zoom_factor(self) -> float:
        """Zoom of a single plane relative to the current layout, for the same view."""
        for part in (self.side_by_side, self.label_map_pair):
            if part.shown:
                return part.zoom_factor
        return (
            self.orthogonal_views.zoom_factor
            if self.orthogonal_views is not None and self.orthogonal_views.shown
            else 1.0
        )

    def toggle(self, layout: Arrangement) -> None:
        """Switch to a layout, or back to a single plane."""
        self.arrange("single" if self.current == layout else layout)

    def arrange(self, layout: Arrangement) -> None:
        """Switch to a layout, once a change that is running has ended."""
        if self.model.case is not None:
            self._pending = layout
            self._proceed()

    def pair(self, modality: Image, first: Labels, second: Labels) -> None:
        """Show two label maps side by side over a modality."""
        self._pair, self._pending = (modality, (first, second)), "pair"
        self._proceed()

    def visible_alone(self, layer: Layer) -> bool:
        """Return whether a layer would be visible in a single plane."""
        return (
            self.label_map_pair if self.label_map_pair.shown else self.side_by_side
        ).visible_alone(layer)

    def to_single(self) -> Iterator[None]:
        """Switch to a single plane; a generator that ends when it is shown."""
        self.arrange("single")
        while self.busy and not self._closed:
            yield

    def close(self) -> None:
        """Stop all changes; the window is being closed."""
        self._closed = True
        self.side_by_side.close()
        self.label_map_pair.close()
        if self.orthogonal_views is not None:
            self.orthogonal_views.close()

    @property
    def _shown(self) -> _Layout:
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
    def _changing(self) -> bool:
        parts = (self.side_by_side, self.label_map_pair)
        return any(part.busy for part in parts) or (
            self.orthogonal_views is not None and self.orthogonal_views.busy
        )

    def _step(self) -> None:
        self._proceed()
        self.on_changed()

    def _proceed(self) -> None:
        """Begin the next change towards the pending layout, if none is running."""
        if self._pending is None or self._changing or self._closed:
            return
        if self._shown == self._pending:
            self._pending = None
        elif self._shown != "single":
            self._leave()
        else:
            layout, self._pending = self._pending, None
            self.layers.viewer.dims.ndisplay = 2
            self._show(layout)

    def _leave(self) -> None:
        for part in (self.side_by_side, self.label_map_pair):
            part.restore()
        if self.orthogonal_views is not None:
            self.orthogonal_views.restore()

    def _show(self, layout: _Layout) -> None:
        case = self.model.case
        if layout == "panes":
            self.side_by_side.show()
        elif layout == "pair" and self._pair is not None:
            self.label_map_pair.show(*self._pair)
        elif case is not None and getattr(self.layers.viewer, "window", None) is not None:
            self._views().show(case.grid.direction)

    def _views(self) -> "OrthogonalViews":
        if self.orthogonal_views is None:
            from napari_ciml.widgets.display.ortho_views import OrthogonalViews

            self.orthogonal_views = OrthogonalViews(
                self.layers.viewer, self._step, self.on_canvas_added
            )
        return self.orthogonal_views
