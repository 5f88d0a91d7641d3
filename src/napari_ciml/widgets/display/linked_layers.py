"""Linked copies of layers, for another pane or another viewer; order of layers.

Adding a layer and drawing it for the first time both take a while. A linked copy is hidden until
`LinkedLayer.show`, so that each can have its own turn of the event loop.
"""

from collections.abc import Iterable, Iterator, Sequence

from napari.components import LayerList
from napari.experimental import link_layers, unlink_layers
from napari.layers import Labels, Layer

from napari_ciml.widgets.layers.region_painting import share_region_tools

_LINKED_COPY = "napari_ciml linked copy"


class LinkedLayer:
    """Copy of a layer that shares its data and follows its attributes.

    Parameters
    ----------
    original : napari.layers.Layer
        Layer to follow.
    suffix : str
        Appended to the name in the layer list.
    """

    def __init__(self, original: Layer, suffix: str = "") -> None:
        self.original = original
        data, attributes, kind = original.as_layer_data_tuple()
        name = f"{original.name} - {suffix}" if suffix else original.name
        attributes |= {"metadata": {_LINKED_COPY: True}, "name": name, "visible": False}
        self.layer = Layer.create(data, attributes, kind)
        link_layers([original, self.layer])
        unlink_layers([original, self.layer], ["visible"])
        original.events.data.connect(self._on_data)
        if isinstance(original, Labels) and isinstance(self.layer, Labels):
            # napari compares linked attributes, and colormaps of labels cannot be compared.
            unlink_layers([original, self.layer], ["colormap"])
            original.events.colormap.connect(self._on_colormap)
            self.layer.contour = original.contour
            share_region_tools(self.layer, original)
            self.layer.events.paint.connect(self._on_paint)
            original.events.features.connect(self._on_features)
            original.events.labels_update.connect(self.layer.refresh)
            self.layer.events.labels_update.connect(original.refresh)

    def show(self) -> None:
        """Link the visibility to that of the original."""
        self.layer.visible = self.original.visible
        link_layers([self.original, self.layer], ["visible"])

    def close(self) -> None:
        """Unlink from the original."""
        unlink_layers([self.original, self.layer])
        self.original.events.data.disconnect(self._on_data)
        if isinstance(self.original, Labels):
            self.layer.events.paint.disconnect(self._on_paint)
            self.original.events.features.disconnect(self._on_features)
            self.original.events.colormap.disconnect(self._on_colormap)
            self.original.events.labels_update.disconnect(self.layer.refresh)
            self.layer.events.labels_update.disconnect(self.original.refresh)

    def _on_data(self, *_: object) -> None:
        if self.layer.data is not self.original.data:
            self.layer.data = self.original.data

    def _on_paint(self, event: object) -> None:
        """Emit a brush stroke on the copy as one of the original."""
        self.original.events.paint(value=event.value)  # type: ignore[attr-defined]

    def _on_colormap(self, *_: object) -> None:
        self.layer.colormap = self.original.colormap

    def _on_features(self, *_: object) -> None:
        self.layer.features = self.original.features


def is_linked_copy(layer: Layer) -> bool:
    """Return whether a layer is a linked copy."""
    return _LINKED_COPY in layer.metadata


def primary_layers(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Return the layers that are not linked copies."""
    return (layer for layer in layers if not is_linked_copy(layer))


def reorder_layers(layers: LayerList, order: Sequence[Layer]) -> None:
    """Move layers to the bottom of the list, in the given order from the bottom up.

    napari's ``move_multiple`` gets one order out of four wrong (0.9.2).
    """
    moved = False
    with layers.events.reordered.blocker():
        for index, layer in enumerate(order):
            if layers[index] is not layer:
                layers.move(layers.index(layer), index)
                moved = True
    if moved:
        layers.events.reordered(value=layers)
