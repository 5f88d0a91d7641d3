"""The hanging: every modality in a pane of its own, labels over each, one camera and slice."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QTimer

from napari_ciml.widgets.layers import CaseLayers
from napari_ciml.widgets.looking.annotations import Annotations
from napari_ciml.widgets.looking.mirrors import Mirror, quick_removal
from napari_ciml.widgets.origin import known_origin, origin_of
from napari_ciml.widgets.turns import in_turns, next_turn

_SPACING = 4.0
"""Pixels between panes."""

_SETTLED_AFTER = 100
"""Milliseconds without a change of the layer list after which it is hung anew."""


@dataclass(frozen=True)
class _Before:
    """How it was: layers from the bottom up, which were visible, the active one."""

    order: tuple[Layer, ...]
    visible: tuple[Layer, ...]
    active: Layer | None


class Hanging:
    """Modalities side by side, and back.

    Parameters
    ----------
    layers : CaseLayers
        Of the viewer.
    annotations : Annotations
        Of its canvas; every pane has its own.
    changed : callable
        Called when it was shown or left.
    """

    def __init__(
        self, layers: CaseLayers, annotations: Annotations, changed: Callable[[], None]
    ) -> None:
        self.layers, self.annotations, self.changed = layers, annotations, changed
        self._before: _Before | None = None
        self._mirrors: list[Mirror] = []
        self._panes = 1
        self._hung: list[Image] = []
        self.busy = False
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

    def show(self) -> None:
        """Hang every modality in a pane of its own."""
        if not self.busy and not self.shown and len(self.layers.modalities()) > 1:
            self._take(self._hang())

    def leave(self) -> None:
        """Show one modality again, as before."""
        if not self.busy and self.shown:
            self._take(self._unhang())

    def close(self) -> None:
        """Do nothing more; the window goes."""
        self.busy = True

    def toggle(self) -> None:
        """Show or leave."""
        (self.leave if self.shown else self.show)()

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
        order = tuple(viewer.layers)
        self._hung = modalities = self.layers.modalities()
        over = [layer for layer in order if _lies_over(layer)]
        visible = tuple(layer for layer in order if layer.visible)
        self._before = _Before(order, visible, viewer.layers.selection.active)
        groups: list[Layer] = []
        for k, modality in enumerate(modalities):
            above: list[Layer] = list(over)
            if k:
                mirrors = [Mirror(layer, known_origin(modality).shows) for layer in over]
                self._mirrors += mirrors
                above = [mirror.layer for mirror in mirrors]
                for layer in above:
                    viewer.layers.append(layer)
                    yield
            groups += [modality, *above]
        places = [viewer.layers.index(layer) for layer in groups]
        viewer.layers.move_multiple(places, 0)
        yield
        for modality in modalities:
            modality.visible = modality.name_overlay.visible = True
            yield
            modality.events.visible.connect(self._hidden)
        grid = viewer.canvas.grid
        grid.stride, grid.shape, grid.spacing = 1 + len(over), (-1, -1), _SPACING
        yield
        coming = self.annotations.appear()
        next(coming)  # nothing is at the borders now
        grid.enabled = True
        yield
        # A pane shows what the whole canvas did.
        self._panes = max(grid.actual_shape(viewer.layers))
        viewer.scene.camera.zoom /= self._panes
        viewer.layers.selection.active = self._before.active
        yield
        yield from coming

    def _unhang(self) -> Iterator[None]:
        viewer, before = self.layers.viewer, self._before
        if before is None:
            return
        grid = viewer.canvas.grid
        coming = self.annotations.appear()
        next(coming)
        grid.enabled = False
        viewer.scene.camera.zoom *= self._panes
        yield
        chosen = [m for m in self._hung if not m.visible]
        for modality in self._hung:
            modality.events.visible.disconnect(self._hidden)
            modality.name_overlay.visible = False
            # One that another part of the window has chosen meanwhile stays.
            if not chosen:
                modality.visible = modality in before.visible
        for mirror in self._mirrors:
            mirror.close()
            with quick_removal():
                viewer.layers.remove(mirror.layer)
            yield
        self._mirrors = []
        kept = [layer for layer in before.order if layer in viewer.layers]
        later = [layer for layer in viewer.layers if layer not in kept]
        places = [viewer.layers.index(layer) for layer in (*kept, *later)]
        viewer.layers.move_multiple(places, 0)
        yield
        yield from coming
        self._before = None

    def _hidden(self, *_: object) -> None:
        """Leave when another part of the window shows one modality only."""
        if self.shown and not self.busy:
            next_turn(self.leave)

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
            yield from self._unhang()
            if not another_case:
                yield from self._hang()

        self._take(steps())

    def _take(self, steps: Iterator[None]) -> None:
        """Take steps, each in a turn of the event loop of its own."""
        self.busy = True
        in_turns(steps, self._arranged)

    def _arranged(self) -> None:
        self.busy = False
        self.changed()


def _lies_over(layer: Layer) -> bool:
    """Whether a layer is shown over every modality: labels, and what else is visible."""
    found = origin_of(layer)
    if found is not None and found.kind == "modality":
        return False
    return layer.visible or (found is not None and isinstance(layer, Labels))
