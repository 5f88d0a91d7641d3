"""What is laid over the modalities of a case: maps, probabilities, doubt, a checkerboard."""

from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Pair
from napari_ciml.explanation.result import Explanation
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.uncertainty_maps import UncertaintyKind
from napari_ciml.widgets.layers.colormaps import MAP_COLOURS, UNCERTAINTY_COLOURS
from napari_ciml.widgets.layers.metadata import KEY, layer_kwargs, plugin_layers, require_metadata

if TYPE_CHECKING:
    from napari.components import ViewerModel


RESULTS = ("map", "probability", "doubt")
"""Kinds of what is laid over the modalities."""

CHANGES = ("change", "compared")
"""Kinds of what lies over the segmentation after an edit, or while two runs are compared."""

_OUTLINE = 1
"""Width in voxels of the segmentation's outline while a map or a probability is shown."""


class Overlays:
    """The layers over the modalities of one viewer, and which modality they lie over.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where they are shown.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = ref(viewer)

    @property
    def viewer(self) -> "ViewerModel":
        """The viewer; not owned, so that it can go when its window closes."""
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("The viewer is closed.")
        return viewer

    def modalities(self) -> list[Image]:
        """Return the layers of the case's modalities, in the case's order."""
        return [layer for layer in reversed(self._made("modality")) if isinstance(layer, Image)]

    def segmentation(self) -> Labels | None:
        """Return the layer of the segmentation, if a case is open."""
        return next(iter(self._made("segmentation")), None)

    def show_modality(self, name: str) -> None:
        """Make one modality the visible one."""
        for layer in self._made("modality"):
            layer.visible = require_metadata(layer).shows == name

    def show_probability(self, case: Case, segmentation: Segmentation, region: str) -> None:
        """Show a region's probability."""
        values, name = segmentation.probabilities[region], f"probability of {region}"
        origin = layer_kwargs(case, "probability", "probability", region=region)
        self._overlay(values, name, origin, colormap="magma", blending="additive")

    def show_uncertainty(
        self, case: Case, values: np.ndarray, about: tuple[UncertaintyKind, str], largest: float
    ) -> None:
        """Show how unsure a segmentation is, from 0 to the largest value for every region.

        ``about`` is which doubt about which region.
        """
        kind, region = about
        origin = layer_kwargs(case, "doubt", kind, region=region)
        look = {"colormap": UNCERTAINTY_COLOURS, "blending": "translucent"}
        self._overlay(values, f"{kind} of {region}", origin, **look)
        for layer in self._made("doubt"):
            layer.contrast_limits_range = layer.contrast_limits = (0, largest)

    def show_map(self, case: Case, explanation: Explanation, pair: Pair, auxiliary: str) -> None:
        """Show what an auxiliary added to a pair, over the auxiliary's own image."""
        zeta, name = explanation.maps[pair, auxiliary], f"{auxiliary} for {' '.join(pair)}"
        origin = layer_kwargs(case, "map", name, region=pair.region)
        self._overlay(zeta, name, origin, colormap=MAP_COLOURS, blending="translucent")
        self.show_modality(auxiliary)

    def set_map_opacity(self, opacity: float) -> None:
        """Set the opacity, in [0, 1], of the map that is shown."""
        for layer in self._made("map"):
            layer.opacity = opacity

    def show_checkerboard(self, case: Case, values: np.ndarray, name: str) -> None:
        """Show a checkerboard, (Z, Y, X) uint8, over everything else."""
        there = self._made("checkerboard")
        if there:
            for attribute, value in {"data": values, "name": name, "visible": True}.items():
                setattr(there[0], attribute, value)
            return
        origin = layer_kwargs(case, "checkerboard", name)
        self.viewer.add_layer(
            Image(values, name=name, colormap="gray", contrast_limits=(0, 255), **origin)
        )

    def hide_checkerboard(self) -> None:
        """Hide the checkerboard."""
        for layer in self._made("checkerboard"):
            layer.visible = False

    def hide_results(self) -> None:
        """Hide maps and probabilities; they come back when asked for."""
        for layer in self._made(*RESULTS):
            layer.visible = False
        self._outline(0)

    def _overlay(
        self, values: np.ndarray, name: str, origin: dict[str, Any], **look: object
    ) -> None:
        """Show values in [0, 1] below the outline of the segmentation.

        A layer that is there is given the new values: napari takes a third of a second to remove
        one, because it collects garbage then.
        """
        self._outline(_OUTLINE)
        for layer in self._made("change", "compared"):
            layer.visible = False
        there = self._made(origin["metadata"][KEY].kind)
        if there:
            new = {"metadata": origin["metadata"], "data": values, "name": name, "visible": True}
            for attribute, value in new.items():
                setattr(there[0], attribute, value)
            return
        layer = Image(
            values,
            name=name,
            contrast_limits=(0, 1),
            opacity=0.8,
            interpolation2d="linear",
            **look,
            **origin,
        )
        labels = self._made("segmentation")
        place = self.viewer.layers.index(labels[0]) if labels else len(self.viewer.layers)
        self.viewer.layers.insert(place, layer)

    def _outline(self, width: int) -> None:
        """Draw the segmentation as an outline of this width, or filled if it is 0."""
        for layer in self._made("segmentation"):
            layer.contour = width

    def _made(self, *kinds: str) -> list[Layer]:
        return plugin_layers(self.viewer, *kinds)
