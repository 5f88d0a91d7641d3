"""The layers of a case and its segmentation.

Layers made here, and beside, carry their origin in ``metadata["napari_ciml"]`` and are found by it,
never by name. Running again replaces what was made here; what the user made or changed is kept.
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

_BEFORE = " (run before)"


class CaseLayers(Overlays):
    """The layers of one viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where they are shown.
    """

    def show_case(self, case: Case, limits: Mapping[str, tuple[float, float]]) -> Iterator[None]:
        """Replace the case before by this one; only the reference is visible at first.

        A generator: between its steps the window can breathe.

        Parameters
        ----------
        case : Case
            What to show.
        limits : mapping of str to (float, float)
            Contrast limits by modality.
        """
        shown = ("checkerboard", "brain", "calipers", "difference", "reference")
        for layer in self._made(*RESULTS, *CHANGES, *shown, "segmentation", "modality"):
            self._let_go(layer)
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
        self.viewer.layers.selection.active = self._made("modality")[-1]
        self.viewer.dims.axis_labels = ("z", "y", "x")
        yield
        self._look_at(case.grid, object_bounding_box(case.images[case.reference]))

    def show_segmentation(
        self, case: Case, segmentation: Segmentation, *, stay: bool = False
    ) -> Iterator[None]:
        """Replace the segmentation before; one the user has painted on is kept, and renamed.

        A generator, as `show_case`. With ``stay`` slice and outline stay as they are.
        """
        for layer in self._made(*RESULTS):
            layer.visible = False
            layer.name = f"{layer.name.removesuffix(_BEFORE)}{_BEFORE}"
        whole, labels = segmentation.plan.decomposition, segmentation.label_map
        fresh = labels.copy()
        yield
        # The user may paint between two steps: nothing comes between this look and the new data.
        while all(self._gave_away(layer) for layer in self._made("segmentation")):
            yield from self._add_empty_segmentation(case)
        (layer,) = self._made("segmentation")
        layer.metadata[COMPUTED] = labels
        layer.metadata[KEY] = LayerMetadata("segmentation", "", case, whole.regions)
        layer.data = fresh
        clear_paint_history(layer)
        look = {"colormap": label_colours(whole.regions), "features": label_features(whole.regions)}
        lacks = ", ".join(segmentation.missing)
        look["name"] = f"segmentation without {lacks}" if lacks else "segmentation"
        if not stay:
            look["contour"] = 0
        for name, value in (look | {"visible": True}).items():
            yield
            setattr(layer, name, value)
        yield
        if not stay:
            self._go_to(labels > 0)

    def _add_empty_segmentation(self, case: Case) -> Iterator[None]:
        """Add the Labels layer that a run will fill.

        napari takes a fifth of a second for its first one: better while a case is being opened
        than in the middle of looking at it.
        """
        empty = np.zeros(case.grid.shape, np.uint8)
        origin = layer_kwargs(case, "segmentation", "")
        layer = Labels(empty, name="segmentation", opacity=0.55, visible=False, **origin)
        layer.metadata[COMPUTED] = empty.copy()
        yield
        self.viewer.add_layer(layer)
        yield

    def _look_at(self, grid: Grid, box: tuple[slice, slice, slice]) -> None:
        """Show the middle of a box, as large as it fits."""
        middle = [(part.start + part.stop) / 2 for part in box]
        self.viewer.dims.set_current_step(0, int(middle[0]))
        self.viewer.reset_view()
        shares = [(part.stop - part.start) / n for part, n in zip(box, grid.shape, strict=True)]
        camera = self.viewer.scene.camera
        camera.zoom /= max(shares[1:])
        world = zip(middle, grid.scale, grid.translate, strict=True)
        camera.center = tuple(index * mm + first for index, mm, first in world)

    def _go_to(self, mask: np.ndarray) -> None:
        """Turn to the axial slice that shows most of a mask."""
        areas = mask.sum(axis=(1, 2))
        if areas.any():
            self.viewer.dims.set_current_step(0, int(areas.argmax()))

    def _let_go(self, layer: Layer) -> None:
        if not self._gave_away(layer):
            self.viewer.layers.remove(layer)

    def _gave_away(self, layer: Layer) -> bool:
        """Whether the user has painted on it; it is theirs now, with its place in the world."""
        if is_unedited(layer):
            return False
        layer.metadata = {KEY: replace(require_metadata(layer), kind="correction")}
        layer.name = "segmentation (edited)"
        return True


_WIDTH = 1
"""In voxels."""


def brain_layer(case: Case, mask: np.ndarray) -> Labels:
    """Return the outline of a brain mask, (Z, Y, X) bool; it is to be looked at only."""
    layer = Labels(
        mask.astype(np.uint8),
        name="brain mask",
        colormap=DirectLabelColormap(color_dict={None: "transparent", 0: "transparent", 1: "cyan"}),
        features={"index": [0, 1], "region": ["not shown to the network", "brain"]},
        **layer_kwargs(case, "brain", ""),
    )
    layer.contour = _WIDTH
    layer.editable = False
    return layer
