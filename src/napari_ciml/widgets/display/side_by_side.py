"""Layout with every modality in its own pane, labels over each, with linked cameras."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from math import ceil, sqrt

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QTimer

from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.display.linked_layers import LinkedLayer, reorder_layers
from napari_ciml.widgets.display.panes import SPACING, GridLayout
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.metadata import metadata_of, plugin_layers, require_metadata

_OPTIONAL = ("compared", "brain")
"""Kinds of labels that are included only when they are visible."""

_SETTLE_MS = 100
"""Milliseconds without a change of the layer list previous the layout is rebuilt."""


@dataclass(frozen=True)
class _PreviousState:
    """State to restore: layers from the bottom up, visible ones, active one, napari's grid."""

    order: tuple[Layer, ...]
    visible: tuple[Layer, ...]
    active: Layer | None
    grid: tuple[int, tuple[int, int], float]


@dataclass(frozen=True)
class _Pane:
    """A pane: a modality and linked copies of the overlays; the first pane has the originals."""

    modality: Image
    copies: list[LinkedLayer] = field(default_factory=list)

    @property
    def layers(self) -> list[Layer]:
        return [copy.layer for copy in self.copies]

    def show(self) -> Iterator[None]:
        self.modality.visible = True
        yield
        for copy in self.copies:
            copy.show()
            yield
        self.modality.name_overlay.visible = True
        yield


class SideBySideLayout(GridLayout):
    """Show modalities side by side; parameters are those of `GridLayout`."""

    def __init__(
        self, layers: CaseLayers, annotations: Annotations, changed: Callable[[], None]
    ) -> None:
        super().__init__(layers, annotations, changed)
        self._previous: _PreviousState | None = None
        self._panes_: list[_Pane] = []
        self._optional: list[Layer] = []
        self._panes = 1
        self._settle_timer = QTimer()
        self._settle_timer.setSingleShot(True)
        self._settle_timer.timeout.connect(self._rebuild)
        events = layers.viewer.layers.events
        events.inserted.connect(self._layers_changed)
        events.removed.connect(self._layers_changed)

    @property
    def shown(self) -> bool:
        """Whether this layout is shown."""
        return self._previous is not None

    @property
    def zoom_factor(self) -> float:
        """Zoom of a single pane relative to this layout."""
        return float(self._panes)

    def visible_alone(self, layer: Layer) -> bool:
        """Return whether a layer would be visible in a single pane."""
        if self._previous is None or layer not in self._modalities:
            return layer.visible
        return layer in self._previous.visible

    @property
    def _modalities(self) -> list[Image]:
        return [pane.modality for pane in self._panes_]

    def show(self) -> None:
        """Show every modality in its own pane."""
        if not self.busy and not self.shown and len(self.layers.modalities()) > 1:
            self._run(self._build())

    def modality_at(self, pane: tuple[int, int] | None) -> Image | None:
        """Return the modality in a pane (row, column)."""
        viewer = self.layers.viewer
        if not self.shown or pane is None:
            return None
        indices = viewer.canvas.grid.contents_at(tuple(pane), viewer.layers)
        candidates = (viewer.layers[k] for k in indices)
        return next((layer for layer in candidates if layer in self.layers.modalities()), None)

    def _build(self) -> Iterator[None]:
        """Put a modality and its overlays into each pane of the grid."""
        viewer = self.layers.viewer
        grid, order = viewer.canvas.grid, tuple(viewer.layers)
        overlays = [layer for layer in order if _is_overlay(layer)]
        visible = tuple(layer for layer in order if layer.visible)
        grid_state = (grid.stride, grid.shape, grid.spacing)
        self._previous = _PreviousState(order, visible, viewer.layers.selection.active, grid_state)
        panes = self._panes_ = [_Pane(modality) for modality in self.layers.modalities()]
        yield from self._copy(overlays, panes[1:])
        members = [[pane.modality, *(pane.layers or overlays)] for pane in panes]
        reorder_layers(viewer.layers, list(chain(*members)))
        yield
        columns = ceil(sqrt(len(panes)))
        grid.stride, grid.spacing = 1 + len(overlays), SPACING
        # Not left to napari, which would rebuild all panes for each modality that is shown.
        grid.shape = (ceil(len(panes) / columns), columns)
        yield
        annotations = self.annotations.show_stepwise()
        next(annotations)  # hides them all
        grid.enabled = True
        # A pane shows the same field of view as the whole canvas did.
        self._panes = columns
        viewer.scene.camera.zoom /= self._panes
        yield
        for pane in panes:
            yield from pane.show()
        for modality in self._modalities:
            modality.events.visible.connect(self._on_visibility)
        self._optional = plugin_layers(viewer, *_OPTIONAL)
        for layer in self._optional:
            layer.events.visible.connect(self._layers_changed)
        viewer.layers.selection.active = self._previous.active
        yield
        yield from annotations

    def _copy(self, overlays: list[Layer], panes: list["_Pane"]) -> Iterator[None]:
        for pane in panes:
            for layer in overlays:
                copy = LinkedLayer(layer, require_metadata(pane.modality).shows)
                pane.copies.append(copy)
                self.layers.viewer.layers.append(copy.layer)
                yield

    def _restore_steps(self) -> Iterator[None]:
        viewer, previous = self.layers.viewer, self._previous
        if previous is None:
            return
        grid = viewer.canvas.grid
        annotations = self.annotations.show_stepwise()
        next(annotations)
        for modality in self._modalities:
            modality.events.visible.disconnect(self._on_visibility)
        for layer in self._optional:
            layer.events.visible.disconnect(self._layers_changed)
        # A modality that was chosen elsewhere meanwhile stays visible.
        chosen = any(not modality.visible for modality in self._modalities)
        yield
        # From the last pane on, so that none moves into the pane of another.
        for pane in reversed(self._panes_):
            for copy in pane.copies:
                copy.close()
                copy.layer.visible = False
                yield
            pane.modality.name_overlay.visible = False
            if not chosen:
                pane.modality.visible = pane.modality in previous.visible
            yield
        grid.enabled = False
        viewer.scene.camera.zoom *= self._panes
        yield
        for copy in chain(*(pane.copies for pane in self._panes_)):
            if copy.layer in viewer.layers:
                viewer.layers.remove(copy.layer)
                yield
        self._panes_ = []
        grid.stride, grid.shape, grid.spacing = previous.grid
        self._panes = 1
        existing = [layer for layer in previous.order if layer in viewer.layers]
        added = [layer for layer in viewer.layers if layer not in existing]
        reorder_layers(viewer.layers, (*existing, *added))
        yield
        yield from annotations
        self._previous = None

    def _layers_changed(self, *_: object) -> None:
        """Rebuild the layout after layers were added or removed, once the list has settled."""
        if self.shown and not self.busy:
            self._settle_timer.start(_SETTLE_MS)

    def _rebuild(self) -> None:
        if self.busy or not self.shown:
            return
        # The layout reverses the order of the layers; compare them as sets.
        another_case = set(self.layers.modalities()) != set(self._modalities)

        def steps() -> Iterator[None]:
            yield from self._restore_steps()
            if not another_case:
                yield from self._build()

        self._run(steps())


def _is_overlay(layer: Layer) -> bool:
    """Return whether a layer is shown over every modality: labels and other visible layers."""
    metadata = metadata_of(layer)
    if metadata is not None and metadata.kind == "modality":
        return False
    always = metadata is not None and isinstance(layer, Labels) and metadata.kind not in _OPTIONAL
    return layer.visible or always
