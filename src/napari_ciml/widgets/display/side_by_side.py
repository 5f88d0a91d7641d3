"""The hanging: every modality in a pane of its own, labels over each, one camera and slice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from math import ceil, sqrt

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QTimer

from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.display.linked_layers import LinkedLayer, reorder_layers
from napari_ciml.widgets.display.panes import SPACING, GridLayout
from napari_ciml.widgets.gc_tuning import skip_gc_collect
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.metadata import metadata_of, plugin_layers, require_metadata

_SELDOM = ("compared", "brain")
"""Kinds of labels that are hung only when they are visible."""

_SETTLED_AFTER = 100
"""Milliseconds without a change of the layer list after which it is hung anew."""


@dataclass(frozen=True)
class _Before:
    """How it was: layers from the bottom up, the visible ones, the active one; napari's grid."""

    order: tuple[Layer, ...]
    visible: tuple[Layer, ...]
    active: Layer | None
    grid: tuple[int, tuple[int, int], float]


@dataclass(frozen=True)
class _Group:
    """A modality, and the mirrors of what lies over it; the first has the layers themselves."""

    modality: Image
    mirrors: list[LinkedLayer] = field(default_factory=list)

    @property
    def layers(self) -> list[Layer]:
        return [mirror.layer for mirror in self.mirrors]

    def appear(self) -> Iterator[None]:
        self.modality.visible = True
        yield
        for mirror in self.mirrors:
            mirror.show()
            yield
        self.modality.name_overlay.visible = True
        yield


class SideBySideLayout(GridLayout):
    """Modalities side by side, and back; parameters are those of `GridLayout`."""

    def __init__(
        self, layers: CaseLayers, annotations: Annotations, changed: Callable[[], None]
    ) -> None:
        super().__init__(layers, annotations, changed)
        self._before: _Before | None = None
        self._groups: list[_Group] = []
        self._waiting: list[Layer] = []
        self._panes = 1
        self._settled = QTimer()
        self._settled.setSingleShot(True)
        self._settled.timeout.connect(self._anew)
        events = layers.viewer.layers.events
        events.inserted.connect(self._layers_changed)
        events.removed.connect(self._layers_changed)

    @property
    def shown(self) -> bool:
        """Whether modalities are side by side."""
        return self._before is not None

    @property
    def zoom_factor(self) -> float:
        """How much larger one modality would be shown alone."""
        return float(self._panes)

    def visible_alone(self, layer: Layer) -> bool:
        """Whether a layer would be visible if one modality was shown again."""
        if self._before is None or layer not in self._hung:
            return layer.visible
        return layer in self._before.visible

    @property
    def _hung(self) -> list[Image]:
        return [group.modality for group in self._groups]

    def show(self) -> None:
        """Hang every modality in a pane of its own."""
        if not self.busy and not self.shown and len(self.layers.modalities()) > 1:
            self._run(self._hang())

    def modality_at(self, pane: tuple[int, int] | None) -> Image | None:
        """Return the modality in a pane (row, column)."""
        viewer = self.layers.viewer
        if not self.shown or pane is None:
            return None
        inside = viewer.canvas.grid.contents_at(tuple(pane), viewer.layers)
        found = (viewer.layers[k] for k in inside)
        return next((layer for layer in found if layer in self.layers.modalities()), None)

    def _hang(self) -> Iterator[None]:
        """Put a modality, and above it all that lies over it, into each group of the grid."""
        viewer = self.layers.viewer
        grid, order = viewer.canvas.grid, tuple(viewer.layers)
        over = [layer for layer in order if _lies_over(layer)]
        visible = tuple(layer for layer in order if layer.visible)
        was = (grid.stride, grid.shape, grid.spacing)
        self._before = _Before(order, visible, viewer.layers.selection.active, was)
        groups = self._groups = [_Group(modality) for modality in self.layers.modalities()]
        yield from self._mirror(over, groups[1:])
        members = [[group.modality, *(group.layers or over)] for group in groups]
        reorder_layers(viewer.layers, list(chain(*members)))
        yield
        columns = ceil(sqrt(len(groups)))
        grid.stride, grid.spacing = 1 + len(over), SPACING
        # Not left to napari, which would build all panes anew for each modality that appears.
        grid.shape = (ceil(len(groups) / columns), columns)
        yield
        coming = self.annotations.show_stepwise()
        next(coming)  # nothing is at the borders now
        grid.enabled = True
        # A pane shows what the whole canvas did.
        self._panes = columns
        viewer.scene.camera.zoom /= self._panes
        yield
        for group in groups:
            yield from group.appear()
        for modality in self._hung:
            modality.events.visible.connect(self._hidden)
        self._waiting = plugin_layers(viewer, *_SELDOM)
        for layer in self._waiting:
            layer.events.visible.connect(self._layers_changed)
        viewer.layers.selection.active = self._before.active
        yield
        yield from coming

    def _mirror(self, over: list[Layer], groups: list["_Group"]) -> Iterator[None]:
        for group in groups:
            for layer in over:
                mirror = LinkedLayer(layer, require_metadata(group.modality).shows)
                group.mirrors.append(mirror)
                self.layers.viewer.layers.append(mirror.layer)
                yield

    def _restore_steps(self) -> Iterator[None]:
        viewer, before = self.layers.viewer, self._before
        if before is None:
            return
        grid = viewer.canvas.grid
        coming = self.annotations.show_stepwise()
        next(coming)
        for modality in self._hung:
            modality.events.visible.disconnect(self._hidden)
        for layer in self._waiting:
            layer.events.visible.disconnect(self._layers_changed)
        # One that another part of the window has chosen meanwhile stays.
        chosen = any(not modality.visible for modality in self._hung)
        yield
        # From the last pane on, so that none takes the place of another.
        for group in reversed(self._groups):
            for mirror in group.mirrors:
                mirror.close()
                mirror.layer.visible = False
                yield
            group.modality.name_overlay.visible = False
            if not chosen:
                group.modality.visible = group.modality in before.visible
            yield
        grid.enabled = False
        viewer.scene.camera.zoom *= self._panes
        yield
        for mirror in chain(*(group.mirrors for group in self._groups)):
            if mirror.layer in viewer.layers:
                with skip_gc_collect():
                    viewer.layers.remove(mirror.layer)
                yield
        self._groups = []
        grid.stride, grid.shape, grid.spacing = before.grid
        self._panes = 1
        kept = [layer for layer in before.order if layer in viewer.layers]
        later = [layer for layer in viewer.layers if layer not in kept]
        reorder_layers(viewer.layers, (*kept, *later))
        yield
        yield from coming
        self._before = None

    def _layers_changed(self, *_: object) -> None:
        """Hang anew with a layer that was added or is gone, once no more come."""
        if self.shown and not self.busy:
            self._settled.start(_SETTLED_AFTER)

    def _anew(self) -> None:
        if self.busy or not self.shown:
            return
        # Hanging turns the order of the layers round; only which they are counts.
        another_case = set(self.layers.modalities()) != set(self._hung)

        def steps() -> Iterator[None]:
            yield from self._restore_steps()
            if not another_case:
                yield from self._hang()

        self._run(steps())


def _lies_over(layer: Layer) -> bool:
    """Whether a layer is shown over every modality: labels, and what else is visible."""
    found = metadata_of(layer)
    if found is not None and found.kind == "modality":
        return False
    usual = found is not None and isinstance(layer, Labels) and found.kind not in _SELDOM
    return layer.visible or usual
