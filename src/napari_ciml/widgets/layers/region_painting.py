"""Region-aware brush, eraser, fill and polygon tools of a label map.

Painting a region adds voxels to it; nested regions keep theirs. Erasing removes voxels from the
selected region and leaves them to the region around it. napari's tools write single values only,
so their result is corrected before it is drawn.
"""

from collections.abc import Callable, Sequence
from weakref import ref

import numpy as np
from napari.layers import Labels

from napari_ciml.cases.labels import erase_region, paint_region, region_of_paint_label
from napari_ciml.decomposition.model import Region
from napari_ciml.session.model import SessionModel
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.metadata import metadata_of

Box = tuple[slice, ...]


class RegionPainting:
    """Install region-aware tools on every label map of the plugin that is added.

    Parameters
    ----------
    model : SessionModel
        Session model, whose decomposition applies to label maps of unknown regions.
    layers : CaseLayers
        Layers of the viewer.
    """

    def __init__(self, model: SessionModel, layers: CaseLayers) -> None:
        self._model = model
        layers.viewer.layers.events.inserted.connect(self._on_inserted)

    def _on_inserted(self, event: object) -> None:
        layer = event.value  # type: ignore[attr-defined]
        metadata = metadata_of(layer)
        if (
            isinstance(layer, Labels)
            and metadata
            and metadata.kind in ("segmentation", "correction")
        ):
            weak = ref(layer)
            install_region_tools(layer, lambda: self._regions_of(weak()))

    def _regions_of(self, layer: Labels | None) -> Sequence[Region]:
        metadata = metadata_of(layer) if layer is not None else None
        return (
            metadata.regions if metadata is not None else ()
        ) or self._model.decomposition.regions


def install_region_tools(layer: Labels, regions: Callable[[], Sequence[Region]]) -> None:
    """Replace the paint tools of a layer by region-aware ones.

    Methods of this layer are replaced, not its class, by whose name napari finds icons, keys and
    help.
    """
    tools = _Tools(layer, regions)
    layer.paint, layer.fill = tools.paint, tools.fill
    layer.paint_polygon = tools.paint_polygon


def share_region_tools(layer: Labels, original: Labels) -> None:
    """Install the tools of a layer on a linked copy of it."""
    # The replaced method leads to the regions; a table of layers would keep their session alive.
    tools = getattr(original.paint, "__self__", None)
    if isinstance(tools, _Tools):
        install_region_tools(layer, tools.regions)


class _Tools:
    """napari's paint tools of a layer, each followed by a correction of its result."""

    def __init__(self, layer: Labels, regions: Callable[[], Sequence[Region]]) -> None:
        self._layer, self.regions = ref(layer), regions

    def paint(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """As `napari.layers.Labels.paint`."""
        layer = self._require_layer()
        reach = int(layer.brush_size) // 2 + 1
        box = _box(np.round([coord, coord]), reach)
        self._apply(box, new_label, lambda: Labels.paint(layer, coord, new_label, refresh))

    def fill(self, coord: Sequence[float], new_label: int, refresh: bool = True) -> None:
        """As `napari.layers.Labels.fill`."""
        layer = self._require_layer()
        box = (slice(None),) * layer.ndim
        self._apply(box, new_label, lambda: Labels.fill(layer, coord, new_label, refresh))

    def paint_polygon(self, points: Sequence[Sequence[float]], new_label: int) -> None:
        """As `napari.layers.Labels.paint_polygon`."""
        layer, corners = self._require_layer(), np.asarray(points)
        box = _box(np.stack((corners.min(axis=0), corners.max(axis=0))), 1)
        self._apply(box, new_label, lambda: Labels.paint_polygon(layer, points, new_label))

    def _require_layer(self) -> Labels:
        layer = self._layer()
        if layer is None:
            raise RuntimeError("The layer is gone.")
        return layer

    def _apply(self, box: Box, value: int, draw: Callable[[], None]) -> None:
        """Let napari write a value into a box, then correct the voxels by the region logic."""
        layer, regions = self._require_layer(), self.regions()
        data = layer.data
        before = data[box].copy()
        strokes: list[object] = []

        def on_paint(event: object) -> None:
            strokes.append(event)

        layer.events.paint.connect(on_paint)
        try:
            draw()
        finally:
            layer.events.paint.disconnect(on_paint)
        after = data[box]
        target = np.where(after != before, _target_labels(value, layer, before, regions), before)
        if np.array_equal(target, after):
            return
        # A single stroke has its own entry in the undo history: the corrected one replaces it.
        if strokes:
            layer.undo()
        changed = np.nonzero(target != data[box])
        starts = [part.indices(n)[0] for part, n in zip(box, data.shape, strict=True)]
        indices = tuple(index + start for index, start in zip(changed, starts, strict=True))
        layer.data_setitem(indices, target[changed], refresh=bool(strokes))


def _target_labels(
    value: int, layer: Labels, before: np.ndarray, regions: Sequence[Region]
) -> np.ndarray | int:
    """Return the labels of voxels that a tool has set to a value."""
    if value == 0:
        erased = region_of_paint_label(int(layer.selected_label), regions)
        return erase_region(erased, before, regions) if erased is not None else value
    region = region_of_paint_label(int(value), regions)
    return paint_region(region, before, regions) if region is not None else value


def _box(corners: np.ndarray, reach: int) -> Box:
    """Return the box around two corners, with a margin of ``reach`` voxels."""
    low, high = corners.astype(int)
    return tuple(
        slice(max(a - reach, 0), max(b + reach + 1, 0))
        for a, b in zip(low.tolist(), high.tolist(), strict=True)
    )
