"""Overlays over the modalities: maps, probabilities, uncertainty, checkerboard."""

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


RESULTS = ("map", "probability", "uncertainty")
"""Kinds of overlays with results of a run."""

CHANGES = ("change", "compared")
"""Kinds of layers that show changes by an edit or the comparison of two runs."""

_OUTLINE = 1
"""Width in voxels of the segmentation's outline while a map or a probability is shown."""


class Overlays:
    """Overlays of a viewer, and the visible modality below them.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Viewer of the layers.
    """

    def __init__(self, viewer: "ViewerModel") -> None:
        self._viewer = ref(viewer)

    @property
    def viewer(self) -> "ViewerModel":
        """The viewer; held by a weak reference, so that it is freed with its window."""
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("The viewer is closed.")
        return viewer

    def modalities(self) -> list[Image]:
        """Return the layers of the case's modalities, in the case's order."""
        return [layer for layer in reversed(self._layers("modality")) if isinstance(layer, Image)]

    def segmentation(self) -> Labels | None:
        """Return the layer of the segmentation, if a case is open."""
        return next(iter(self._layers("segmentation")), None)

    def show_modality(self, name: str) -> None:
        """Show one modality and hide the others."""
        for layer in self._layers("modality"):
            layer.visible = require_metadata(layer).shows == name

    def show_probability(self, case: Case, segmentation: Segmentation, region: str) -> None:
        """Show the probability of a region."""
        values, name = segmentation.probabilities[region], f"probability of {region}"
        origin = layer_kwargs(case, "probability", "probability", region=region)
        self._overlay(values, name, origin, colormap="magma", blending="additive")

    def show_uncertainty(
        self, case: Case, values: np.ndarray, about: tuple[UncertaintyKind, str], largest: float
    ) -> None:
        """Show an uncertainty map, with one colour scale for every region.

        Parameters
        ----------
        case : Case
            Case of the map.
        values : numpy.ndarray
            (Z, Y, X).
        about : tuple
            Kind of uncertainty and region.
        largest : float
            Upper contrast limit.
        """
        kind, region = about
        origin = layer_kwargs(case, "uncertainty", kind, region=region)
        attributes = {"colormap": UNCERTAINTY_COLOURS, "blending": "translucent"}
        self._overlay(values, f"{kind} of {region}", origin, **attributes)
        for layer in self._layers("uncertainty"):
            layer.contrast_limits_range = layer.contrast_limits = (0, largest)

    def show_map(self, case: Case, explanation: Explanation, pair: Pair, auxiliary: str) -> None:
        """Show the map of a pair and an auxiliary over the auxiliary's image."""
        zeta, name = explanation.maps[pair, auxiliary], f"{auxiliary} for {' '.join(pair)}"
        origin = layer_kwargs(case, "map", name, region=pair.region)
        self._overlay(zeta, name, origin, colormap=MAP_COLOURS, blending="translucent")
        self.show_modality(auxiliary)

    def set_map_opacity(self, opacity: float) -> None:
        """Set the opacity of the map, in [0, 1]."""
        for layer in self._layers("map"):
            layer.opacity = opacity

    def show_checkerboard(self, case: Case, values: np.ndarray, name: str) -> None:
        """Show a checkerboard, (Z, Y, X) uint8, on top."""
        existing = self._layers("checkerboard")
        if existing:
            for attribute, value in {"data": values, "name": name, "visible": True}.items():
                setattr(existing[0], attribute, value)
            return
        origin = layer_kwargs(case, "checkerboard", name)
        self.viewer.add_layer(
            Image(values, name=name, colormap="gray", contrast_limits=(0, 255), **origin)
        )

    def hide_checkerboard(self) -> None:
        """Hide the checkerboard."""
        for layer in self._layers("checkerboard"):
            layer.visible = False

    def hide_results(self) -> None:
        """Hide maps, probabilities and uncertainty, and fill the segmentation again."""
        for layer in self._layers(*RESULTS):
            layer.visible = False
        self._outline(0)

    def _overlay(
        self, values: np.ndarray, name: str, origin: dict[str, Any], **attributes: object
    ) -> None:
        """Show values in [0, 1] below the outline of the segmentation.

        An existing layer of the kind is updated: napari needs 0.3 s to remove one, as it collects
        garbage then.
        """
        self._outline(_OUTLINE)
        for layer in self._layers("change", "compared"):
            layer.visible = False
        existing = self._layers(origin["metadata"][KEY].kind)
        if existing:
            updates = {
                "metadata": origin["metadata"],
                "data": values,
                "name": name,
                "visible": True,
            }
            for attribute, value in updates.items():
                setattr(existing[0], attribute, value)
            return
        layer = Image(
            values,
            name=name,
            contrast_limits=(0, 1),
            opacity=0.8,
            interpolation2d="linear",
            **attributes,
            **origin,
        )
        labels = self._layers("segmentation")
        index = self.viewer.layers.index(labels[0]) if labels else len(self.viewer.layers)
        self.viewer.layers.insert(index, layer)

    def _outline(self, width: int) -> None:
        """Draw the segmentation as a contour of this width in voxels, or filled if it is 0."""
        for layer in self._layers("segmentation"):
            layer.contour = width

    def _layers(self, *kinds: str) -> list[Layer]:
        return plugin_layers(self.viewer, *kinds)
