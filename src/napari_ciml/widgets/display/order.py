"""The order of layers."""

from collections.abc import Sequence

from napari.components import LayerList
from napari.layers import Layer


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
