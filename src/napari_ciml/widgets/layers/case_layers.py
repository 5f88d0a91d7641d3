"""Layers of a case and its segmentation.

Layers of the plugin carry a `LayerMetadata` in ``metadata["napari_ciml"]`` and are found by it,
never by name. A new run replaces the plugin's layers; what the user added or edited stays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap

from napari_ciml.cases.case import Case
from napari_ciml.cases.display_window import object_bounding_box
from napari_ciml.cases.geometry import Grid
from napari_ciml.inference.result import Segmentation
from napari_ciml.widgets.layers.colormaps import colormap_of, label_colours, label_features
from napari_ciml.widgets.layers.metadata import (
    COMPUTED,
    KEY,
    LayerMetadata,
    clear_paint_history,
    is_unedited,
    layer_kwargs,
    require_metadata,
)
from napari_ciml.widgets.layers.overlays import CHANGES, RESULTS, Overlays

_PREVIOUS = " (previous run)"


class CaseLayers(Overlays):
    """Layers of a case in a viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Viewer of the layers.
    """

    def show_case(self, case: Case, limits: Mapping[str, tuple[float, float]]) -> Iterator[None]:
        """Replace the layers of the previous case; only the reference modality is visible at first.

        A generator: each step has its own turn of the event loop.

        Parameters
        ----------
        case : Case
            Case to show.
        limits : mapping of str to (float, float)
            Contrast limits by modality.
        """
        shown = ("checkerboard", "brain", "calipers", "difference", "reference")
        for layer in self._layers(*RESULTS, *CHANGES, *shown, "segmentation", "modality"):
            self._remove_unless_edited(layer)
            yield
        for name in reversed(list(case.images)):
            layer = Image(
                case.images[name],
                name=name,
                colormap=colormap_of(name),
                contrast_limits=limits[name],
                visible=name == case.reference,
                interpolation2d="linear",
                **layer_kwargs(case, "modality", name),
            )
            yield
            self.viewer.add_layer(layer)
            yield
        if case.brain is not None:
            self.viewer.add_layer(brain_layer(case, case.brain))
            yield
        yield from self._add_empty_segmentation(case)
        self.viewer.layers.selection.active = self._layers("modality")[-1]
        self.viewer.dims.axis_labels = ("z", "y", "x")
        yield
        self._fit_view(case.grid, object_bounding_box(case.images[case.reference]))

    def show_segmentation(
        self, case: Case, segmentation: Segmentation, *, stay: bool = False
    ) -> Iterator[None]:
        """Replace the previous segmentation; an edited one is kept and renamed.

        A generator, as `show_case`. With ``stay`` slice and contour are not changed.
        """
        for layer in self._layers(*RESULTS):
            layer.visible = False
            layer.name = f"{layer.name.removesuffix(_PREVIOUS)}{_PREVIOUS}"
        decomposition, labels = segmentation.plan.decomposition, segmentation.label_map
        editable_labels = labels.copy()
        yield
        # The user may paint between two steps: no step comes between this check and the new data.
        while all(self._keep_if_edited(layer) for layer in self._layers("segmentation")):
            yield from self._add_empty_segmentation(case)
        (layer,) = self._layers("segmentation")
        layer.metadata[COMPUTED] = labels
        layer.metadata[KEY] = LayerMetadata("segmentation", "", case, decomposition.regions)
        layer.data = editable_labels
        clear_paint_history(layer)
        attributes = {
            "colormap": label_colours(decomposition.regions),
            "features": label_features(decomposition.regions),
        }
        missing = ", ".join(segmentation.missing)
        attributes["name"] = f"segmentation without {missing}" if missing else "segmentation"
        if not stay:
            attributes["contour"] = 0
        for name, value in (attributes | {"visible": True}).items():
            yield
            setattr(layer, name, value)
        yield
        if not stay:
            self._go_to(labels > 0)

    def _add_empty_segmentation(self, case: Case) -> Iterator[None]:
        """Add the empty Labels layer that a run will fill.

        napari needs 0.2 s for its first one, which is better spent while a case is opened.
        """
        empty = np.zeros(case.grid.shape, np.uint8)
        origin = layer_kwargs(case, "segmentation", "")
        layer = Labels(empty, name="segmentation", opacity=0.55, visible=False, **origin)
        layer.metadata[COMPUTED] = empty.copy()
        yield
        self.viewer.add_layer(layer)
        yield

    def _fit_view(self, grid: Grid, box: tuple[slice, slice, slice]) -> None:
        """Centre the view on a box and zoom to fit it."""
        middle = [(part.start + part.stop) / 2 for part in box]
        self.viewer.dims.set_current_step(0, int(middle[0]))
        self.viewer.reset_view()
        fractions = [(part.stop - part.start) / n for part, n in zip(box, grid.shape, strict=True)]
        camera = self.viewer.scene.camera
        camera.zoom /= max(fractions[1:])
        coordinates = zip(middle, grid.scale, grid.translate, strict=True)
        camera.center = tuple(index * mm + first for index, mm, first in coordinates)

    def _go_to(self, mask: np.ndarray) -> None:
        """Go to the axial slice with the largest area of a mask."""
        areas = mask.sum(axis=(1, 2))
        if areas.any():
            self.viewer.dims.set_current_step(0, int(areas.argmax()))

    def _remove_unless_edited(self, layer: Layer) -> None:
        if not self._keep_if_edited(layer):
            self.viewer.layers.remove(layer)

    def _keep_if_edited(self, layer: Layer) -> bool:
        """Turn an edited segmentation into a correction; return whether it was edited."""
        if is_unedited(layer):
            return False
        layer.metadata = {KEY: replace(require_metadata(layer), kind="correction")}
        layer.name = "segmentation (edited)"
        return True


_WIDTH = 1
"""Width of the outline in voxels."""


def brain_layer(case: Case, mask: np.ndarray) -> Labels:
    """Return a read-only layer with the outline of a brain mask, (Z, Y, X) bool."""
    layer = Labels(
        mask.astype(np.uint8),
        name="brain mask",
        colormap=DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", 1: "cyan"}),
        features={"index": [0, 1], "region": ["masked out", "brain"]},
        **layer_kwargs(case, "brain", ""),
    )
    layer.contour = _WIDTH
    layer.editable = False
    return layer
