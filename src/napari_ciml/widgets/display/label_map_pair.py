"""Layout of two label maps side by side over one modality, with linked cameras."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from napari.layers import Image, Labels, Layer

from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.display.linked_layers import LinkedLayer, reorder_layers
from napari_ciml.widgets.display.panes import SPACING, GridLayout
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.metadata import metadata_of


@dataclass(frozen=True)
class _PreviousState:
    """State to restore: layers from the bottom up, hidden layers, napari's grid."""

    order: tuple[Layer, ...]
    hidden: tuple[Layer, ...]
    grid: tuple[int, tuple[int, int], float]


class LabelMapPairLayout(GridLayout):
    """Show two label maps in two panes; parameters are those of `GridLayout`."""

    zoom_factor = 2.0
    """Zoom of a single pane relative to this layout."""

    def __init__(
        self, layers: CaseLayers, annotations: Annotations, changed: Callable[[], None]
    ) -> None:
        super().__init__(layers, annotations, changed)
        self._previous: _PreviousState | None = None
        self._copy: LinkedLayer | None = None
        self._maps: tuple[Labels, ...] = ()
        layers.viewer.layers.events.inserted.connect(self._on_visibility)

    @property
    def shown(self) -> bool:
        """Whether this layout is shown."""
        return self._previous is not None

    def visible_alone(self, layer: Layer) -> bool:
        """Return whether a layer would be visible in a single pane."""
        return layer.visible or (self._previous is not None and layer in self._previous.hidden)

    def show(self, modality: Image, maps: tuple[Labels, Labels]) -> None:
        """Show two label maps over a modality."""
        if not self.busy and not self.shown:
            self._run(self._pair(modality, maps))

    def _pair(self, modality: Image, maps: tuple[Labels, Labels]) -> Iterator[None]:
        viewer = self.layers.viewer
        grid, order = viewer.canvas.grid, tuple(viewer.layers)
        hidden = [layer for layer in order if layer.visible and layer not in (modality, *maps)]
        self._previous = _PreviousState(
            order, tuple(hidden), (grid.stride, grid.shape, grid.spacing)
        )
        self._maps = maps
        copy = self._copy = LinkedLayer(modality, "second")
        active = viewer.layers.selection.active
        viewer.layers.append(copy.layer)
        viewer.layers.selection.active = active
        yield
        for layer in hidden:
            layer.visible = False
        reorder_layers(viewer.layers, [modality, maps[0], copy.layer, maps[1]])
        yield
        grid.stride, grid.shape, grid.spacing = 2, (1, 2), SPACING
        annotations = self.annotations.show_stepwise()
        next(annotations)  # hides them all
        grid.enabled = True
        viewer.scene.camera.zoom /= self.zoom_factor
        yield
        copy.show()
        for layer in maps:
            layer.visible = layer.name_overlay.visible = True
            yield
        modality.events.visible.connect(self._on_visibility)
        yield from annotations

    def _restore_steps(self) -> Iterator[None]:
        viewer, previous, copy = self.layers.viewer, self._previous, self._copy
        assert previous is not None
        assert copy is not None
        grid = viewer.canvas.grid
        annotations = self.annotations.show_stepwise()
        next(annotations)
        copy.original.events.visible.disconnect(self._on_visibility)
        copy.close()
        copy.layer.visible = False
        for layer in self._maps:
            layer.name_overlay.visible = False
        yield
        grid.enabled = False
        viewer.scene.camera.zoom *= self.zoom_factor
        yield
        if copy.layer in viewer.layers:
            viewer.layers.remove(copy.layer)
            yield
        grid.stride, grid.shape, grid.spacing = previous.grid
        existing = [layer for layer in previous.order if layer in viewer.layers]
        added = [layer for layer in viewer.layers if layer not in existing]
        reorder_layers(viewer.layers, (*existing, *added))
        for layer in previous.hidden:
            metadata = metadata_of(layer)
            # Layers of the comparison are shown by its controller.
            if metadata is None or metadata.kind != "compared":
                layer.visible = True
        yield
        yield from annotations
        self._previous = self._copy = None
