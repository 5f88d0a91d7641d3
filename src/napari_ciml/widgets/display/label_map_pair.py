"""Two label maps side by side, each over the modality that is looked at; one camera and slice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from napari.layers import Image, Labels, Layer

from napari_ciml.widgets.display.annotations import Annotations
from napari_ciml.widgets.display.linked_layers import LinkedLayer, reorder_layers
from napari_ciml.widgets.display.panes import SPACING, GridLayout
from napari_ciml.widgets.gc_tuning import skip_gc_collect
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.metadata import metadata_of


@dataclass(frozen=True)
class _Before:
    """How it was: layers from the bottom up, those that made room, napari's grid."""

    order: tuple[Layer, ...]
    hidden: tuple[Layer, ...]
    grid: tuple[int, tuple[int, int], float]


class LabelMapPairLayout(GridLayout):
    """Two label maps in two panes, and back; parameters are those of `GridLayout`."""

    zoom_factor = 2.0
    """How much larger one plane would be shown alone."""

    def __init__(
        self, layers: CaseLayers, annotations: Annotations, changed: Callable[[], None]
    ) -> None:
        super().__init__(layers, annotations, changed)
        self._before: _Before | None = None
        self._mirror: LinkedLayer | None = None
        self._maps: tuple[Labels, ...] = ()
        layers.viewer.layers.events.inserted.connect(self._hidden)

    @property
    def shown(self) -> bool:
        """Whether two label maps are side by side."""
        return self._before is not None

    def visible_alone(self, layer: Layer) -> bool:
        """Whether a layer would be visible without."""
        return layer.visible or (self._before is not None and layer in self._before.hidden)

    def show(self, modality: Image, maps: tuple[Labels, Labels]) -> None:
        """Show two label maps over a modality."""
        if not self.busy and not self.shown:
            self._run(self._pair(modality, maps))

    def _pair(self, modality: Image, maps: tuple[Labels, Labels]) -> Iterator[None]:
        viewer = self.layers.viewer
        grid, order = viewer.canvas.grid, tuple(viewer.layers)
        room = [layer for layer in order if layer.visible and layer not in (modality, *maps)]
        self._before = _Before(order, tuple(room), (grid.stride, grid.shape, grid.spacing))
        self._maps = maps
        mirror = self._mirror = LinkedLayer(modality, "second")
        active = viewer.layers.selection.active
        viewer.layers.append(mirror.layer)
        viewer.layers.selection.active = active
        yield
        for layer in room:
            layer.visible = False
        reorder_layers(viewer.layers, [modality, maps[0], mirror.layer, maps[1]])
        yield
        grid.stride, grid.shape, grid.spacing = 2, (1, 2), SPACING
        coming = self.annotations.show_stepwise()
        next(coming)  # nothing is at the borders now
        grid.enabled = True
        viewer.scene.camera.zoom /= self.zoom_factor
        yield
        mirror.show()
        for layer in maps:
            layer.visible = layer.name_overlay.visible = True
            yield
        modality.events.visible.connect(self._hidden)
        yield from coming

    def _restore_steps(self) -> Iterator[None]:
        viewer, before, mirror = self.layers.viewer, self._before, self._mirror
        assert before is not None
        assert mirror is not None
        grid = viewer.canvas.grid
        coming = self.annotations.show_stepwise()
        next(coming)
        mirror.original.events.visible.disconnect(self._hidden)
        mirror.close()
        mirror.layer.visible = False
        for layer in self._maps:
            layer.name_overlay.visible = False
        yield
        grid.enabled = False
        viewer.scene.camera.zoom *= self.zoom_factor
        yield
        if mirror.layer in viewer.layers:
            with skip_gc_collect():
                viewer.layers.remove(mirror.layer)
            yield
        grid.stride, grid.shape, grid.spacing = before.grid
        kept = [layer for layer in before.order if layer in viewer.layers]
        later = [layer for layer in viewer.layers if layer not in kept]
        reorder_layers(viewer.layers, (*kept, *later))
        for layer in before.hidden:
            found = metadata_of(layer)
            # Who compares shows what is compared.
            if found is None or found.kind != "compared":
                layer.visible = True
        yield
        yield from coming
        self._before = self._mirror = None
