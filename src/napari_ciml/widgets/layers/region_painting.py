"""Brush, eraser, fill and polygon of a label map keep to the logic of its regions.

Painting a region adds to it what is painted: regions inside it keep their voxels. Erasing takes
out of the region that is chosen, and leaves the voxels to the region around it. napari's tools
know single values only, so what they have written is mended before it is drawn.
"""

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.layers import Labels

from napari_ciml.cases.labels import erase_region, paint_region, region_of_paint_label
from napari_ciml.decomposition.model import Region
from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.metadata import metadata_of

Box = tuple[slice, ...]

_taught: "WeakKeyDictionary[Labels, Callable[[], Sequence[Region]]]" = WeakKeyDictionary()


class RegionPainting:
    """Teaches every label map that is shown what its regions are.

    Parameters
    ----------
    review : Review
        Says what values mean of which nobody has said it.
    layers : CaseLayers
        Of the viewer.
    """

    def __init__(self, model: SessionModel, layers: CaseLayers) -> None:
        self._review = model
        layers.viewer.layers.events.inserted.connect(self._on_inserted)

    def _on_inserted(self, event: object) -> None:
        layer = event.value  # type: ignore[attr-defined]
        found = metadata_of(layer)
        if isinstance(layer, Labels) and found and found.kind in ("segmentation", "correction"):
            weak = ref(layer)
            install_region_tools(layer, lambda: self._regions_of(weak()))

    def _regions_of(self, layer: Labels | None) -> Sequence[Region]:
        found = metadata_of(layer) if layer is not None else None
        return (found.regions if found is not None else ()) or self._review.decomposition.regions


def install_region_tools(layer: Labels, regions: Callable[[], Sequence[Region]]) -> None:
    """Let a layer's tools keep to the logic of regions.

    The tools of this one layer are replaced, and not its class, by whose name napari finds icons,
    keys and help.
    """
    tools = _Tools(layer, regions)
    _taught[layer] = regions
    layer.paint, layer.fill = tools.paint, tools.fill
    layer.paint_polygon = tools.paint_polygon


def share_region_tools(layer: Labels, original: Labels) -> None:
    """Let a layer that shows the same data have the same tools."""
    if original in _taught:
        install_region_tools(layer, _taught[original])


class _Tools:
    """napari's tools of a layer, and what is mended after each."""

    def __init__(self, layer: Labels, regions: Callable[[], Sequence[Region]]) -> None:
        self._layer, self._regions = ref(layer), regions

    def paint(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """As `napari.layers.Labels.paint`."""
        layer = self._known()
        reach = int(layer.brush_size) // 2 + 1
        box = _box(np.round([coord, coord]), reach)
        self._mended(box, new_label, lambda: Labels.paint(layer, coord, new_label, refresh))

    def fill(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """As `napari.layers.Labels.fill`."""
        layer = self._known()
        box = (slice(None),) * layer.ndim
        self._mended(box, new_label, lambda: Labels.fill(layer, coord, new_label, refresh))

    def paint_polygon(self, points: Sequence[Sequence[float]], new_label: int) -> None:
        """As `napari.layers.Labels.paint_polygon`."""
        layer, corners = self._known(), np.asarray(points)
        box = _box(np.stack((corners.min(axis=0), corners.max(axis=0))), 1)
        self._mended(box, new_label, lambda: Labels.paint_polygon(layer, points, new_label))

    def _known(self) -> Labels:
        layer = self._layer()
        if layer is None:
            raise RuntimeError("The layer is gone.")
        return layer

    def _mended(self, box: Box, value: int, draw: Callable[[], None]) -> None:
        """Let napari write a value into a box, and give back what the regions want kept."""
        layer, regions = self._known(), self._regions()
        data = layer.data
        before = data[box].copy()
        strokes: list[object] = []

        def heard(event: object) -> None:
            strokes.append(event)

        layer.events.paint.connect(heard)
        try:
            draw()
        finally:
            layer.events.paint.disconnect(heard)
        after = data[box]
        wanted = np.where(after != before, _wanted(value, layer, before, regions), before)
        if np.array_equal(wanted, after):
            return
        # One that is not part of a longer stroke has its own place among what can be undone:
        # what is mended takes it over.
        if strokes:
            layer.undo()
        changed = np.nonzero(wanted != data[box])
        starts = [part.indices(n)[0] for part, n in zip(box, data.shape, strict=True)]
        where = tuple(found + start for found, start in zip(changed, starts, strict=True))
        layer.data_setitem(where, wanted[changed], refresh=bool(strokes))


def _wanted(
    value: int, layer: Labels, before: np.ndarray, regions: Sequence[Region]
) -> np.ndarray | int:
    """Return what voxels should be that a tool has given a value."""
    if value == 0:
        erased = region_of_paint_label(int(layer.selected_label), regions)
        return erase_region(erased, before, regions) if erased is not None else value
    region = region_of_paint_label(int(value), regions)
    return paint_region(region, before, regions) if region is not None else value


def _box(corners: np.ndarray, reach: int) -> Box:
    """Return the box around two corners, and so many voxels more on every side."""
    low, high = corners.astype(int)
    return tuple(
        slice(max(a - reach, 0), max(b + reach + 1, 0))
        for a, b in zip(low.tolist(), high.tolist(), strict=True)
    )
