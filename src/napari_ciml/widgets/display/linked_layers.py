"""Mirrors: further layers that show what a layer shows, in another pane or another viewer.

Adding a layer takes a while, and so does drawing it for the first time: a mirror is hidden until it
is told to appear, so that each can have a turn of the event loop of its own.
"""

from collections.abc import Iterable, Iterator, Sequence

from napari.components import LayerList
from napari.experimental import link_layers, unlink_layers
from napari.layers import Labels, Layer

from napari_ciml.widgets.layers.region_painting import share_region_tools

_MIRROR = "napari_ciml mirror"


class LinkedLayer:
    """A layer that follows another one, and shares its data.

    Parameters
    ----------
    original : napari.layers.Layer
        What is followed.
    where : str
        Added to the name, so that the layer list stays readable.
    """

    def __init__(self, original: Layer, where: str = "") -> None:
        self.original = original
        data, attributes, kind = original.as_layer_data_tuple()
        name = f"{original.name} - {where}" if where else original.name
        attributes |= {"metadata": {_MIRROR: True}, "name": name, "visible": False}
        self.layer = Layer.create(data, attributes, kind)
        link_layers([original, self.layer])
        unlink_layers([original, self.layer], ["visible"])
        original.events.data.connect(self._replaced)
        if isinstance(original, Labels) and isinstance(self.layer, Labels):
            # napari compares what it links, and colours of labels cannot be compared.
            unlink_layers([original, self.layer], ["colormap"])
            original.events.colormap.connect(self._coloured)
            self.layer.contour = original.contour
            share_region_tools(self.layer, original)
            self.layer.events.paint.connect(self._painted)
            original.events.features.connect(self._named)
            original.events.labels_update.connect(self.layer.refresh)
            self.layer.events.labels_update.connect(original.refresh)

    def show(self) -> None:
        """Be visible whenever the original is."""
        self.layer.visible = self.original.visible
        link_layers([self.original, self.layer], ["visible"])

    def close(self) -> None:
        """Follow no longer."""
        unlink_layers([self.original, self.layer])
        self.original.events.data.disconnect(self._replaced)
        if isinstance(self.original, Labels):
            self.layer.events.paint.disconnect(self._painted)
            self.original.events.features.disconnect(self._named)
            self.original.events.colormap.disconnect(self._coloured)
            self.original.events.labels_update.disconnect(self.layer.refresh)
            self.layer.events.labels_update.disconnect(self.original.refresh)

    def _replaced(self, *_: object) -> None:
        if self.layer.data is not self.original.data:
            self.layer.data = self.original.data

    def _painted(self, event: object) -> None:
        """Whoever waits for strokes on the original hears of those made here."""
        self.original.events.paint(value=event.value)  # type: ignore[attr-defined]

    def _coloured(self, *_: object) -> None:
        self.layer.colormap = self.original.colormap

    def _named(self, *_: object) -> None:
        self.layer.features = self.original.features


def is_linked_copy(layer: Layer) -> bool:
    """Whether a layer only shows what another one shows."""
    return _MIRROR in layer.metadata


def primary_layers(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Leave out layers that only show what others show."""
    return (layer for layer in layers if not is_linked_copy(layer))


def reorder_layers(layers: LayerList, wanted: Sequence[Layer]) -> None:
    """Put layers below all others, in an order from the bottom up.

    napari's own ``move_multiple`` loses its way in one order out of four (0.9.2).
    """
    moved = False
    with layers.events.reordered.blocker():
        for place, layer in enumerate(wanted):
            if layers[place] is not layer:
                layers.move(layers.index(layer), place)
                moved = True
    if moved:
        layers.events.reordered(value=layers)
