"""Layers: created, named, coloured, scaled and placed here and nowhere else.

Layers made here carry their origin in ``metadata["napari_ciml"]`` and are found by it, never by
name. Running again replaces what was made here; what the user made or changed is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import Colormap

from napari_ciml.cases.case import Case
from napari_ciml.decomposition import Pair
from napari_ciml.widgets.looks import MAP_COLOURS, label_colours, label_features

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ciml.explanation.explain import Explanation
    from napari_ciml.inference.segment import Segmentation

KEY = "napari_ciml"

_OUTLINE = 1
"""Width in voxels of the segmentation's outline while a map or a probability is shown."""


@dataclass(frozen=True)
class Origin:
    """Where a layer comes from: its kind, what it shows, and the case it lies on."""

    kind: str
    shows: str
    case: Case


def origin_of(layer: Layer) -> Origin | None:
    """Return a layer's origin, or None if it was not made here."""
    found = layer.metadata.get(KEY)
    return found if isinstance(found, Origin) else None


class CaseLayers:
    """The layers of one viewer.

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

    def show_case(self, case: Case, limits: Mapping[str, tuple[float, float]]) -> None:
        """Replace the case before by this one; only the reference is visible at first.

        Parameters
        ----------
        case : Case
            What to show.
        limits : mapping of str to (float, float)
            Contrast limits by modality.
        """
        self._remove("map", "probability", "segmentation", "modality")
        for name in reversed(list(case.images)):
            layer = Image(
                case.images[name],
                name=name,
                colormap="gray_r" if name == "PET" else "gray",
                contrast_limits=limits[name],
                visible=name == case.reference,
                interpolation2d="linear",
                **_placed(case, "modality", name),
            )
            self.viewer.add_layer(layer)
        self.viewer.dims.axis_labels = ("z", "y", "x")
        self.viewer.canvas.overlays.scale_bar.visible = True
        self.viewer.dims.set_current_step(0, case.grid.shape[0] // 2)
        self.viewer.reset_view()

    def show_segmentation(self, case: Case, segmentation: "Segmentation") -> None:
        """Replace the segmentation before; one the user has painted on is kept, and renamed."""
        self._remove("map", "probability", "segmentation")
        whole = segmentation.plan.decomposition
        layer = Labels(
            segmentation.label_map.copy(),
            name="segmentation",
            colormap=label_colours(whole),
            features=label_features(whole),
            opacity=0.55,
            **_placed(case, "segmentation", ""),
        )
        layer.metadata["drawn"] = segmentation.label_map
        self.viewer.add_layer(layer)
        self._go_to(segmentation.label_map > 0)

    def show_probability(self, case: Case, segmentation: "Segmentation", region: str) -> None:
        """Show a region's probability."""
        self._remove("probability")
        values, name = segmentation.probabilities[region], f"probability of {region}"
        layer = _overlay(case, values, name, "magma", "additive", ("probability", region))
        self._add_below_labels(layer)

    def show_map(self, case: Case, explanation: "Explanation", pair: Pair, auxiliary: str) -> None:
        """Show what an auxiliary added to a pair, over the auxiliary's own image."""
        self._remove("map")
        zeta, name = explanation.maps[pair, auxiliary], f"{auxiliary} for {' '.join(pair)}"
        layer = _overlay(case, zeta, name, MAP_COLOURS, "translucent", ("map", name))
        self._add_below_labels(layer)
        self.show_modality(auxiliary)

    def show_modality(self, name: str) -> None:
        """Make one modality the visible one."""
        for layer in self._made("modality"):
            layer.visible = _origin(layer).shows == name

    def set_map_opacity(self, opacity: float) -> None:
        """Set the opacity, in [0, 1], of the map that is shown."""
        for layer in self._made("map"):
            layer.opacity = opacity

    def hide_results(self) -> None:
        """Take away maps and probabilities; they come back when asked for."""
        self._remove("map", "probability")
        self._outline(0)

    def _add_below_labels(self, layer: Layer) -> None:
        """Insert a layer right below the segmentation, whose outline stays on top."""
        labels = self._made("segmentation")
        if labels:
            self.viewer.layers.insert(self.viewer.layers.index(labels[0]), layer)
        else:
            self.viewer.add_layer(layer)
        self._outline(_OUTLINE)

    def _outline(self, width: int) -> None:
        """Draw the segmentation as an outline of this width, or filled if it is 0."""
        for layer in self._made("segmentation"):
            layer.contour = width

    def _go_to(self, mask: np.ndarray) -> None:
        """Turn to the axial slice that shows most of a mask."""
        areas = mask.sum(axis=(1, 2))
        if areas.any():
            self.viewer.dims.set_current_step(0, int(areas.argmax()))

    def _made(self, kind: str) -> list[Layer]:
        return [
            layer
            for layer in self.viewer.layers
            if (found := origin_of(layer)) is not None and found.kind == kind
        ]

    def _remove(self, *kinds: str) -> None:
        for kind in kinds:
            for layer in self._made(kind):
                if kind == "segmentation" and _edited(layer):
                    # The user has painted on it: it is theirs now, with its place in the world.
                    layer.metadata = {KEY: Origin("correction", "", _origin(layer).case)}
                    layer.name = "segmentation (edited)"
                else:
                    self.viewer.layers.remove(layer)


def _overlay(
    case: Case,
    values: np.ndarray,
    name: str,
    colours: Colormap | str,
    blending: str,
    origin: tuple[str, str],
) -> Image:
    return Image(
        values,
        name=name,
        colormap=colours,
        contrast_limits=(0, 1),
        blending=blending,
        opacity=0.8,
        interpolation2d="linear",
        **_placed(case, *origin),
    )


def _placed(case: Case, kind: str, shows: str) -> dict[str, Any]:
    grid = case.grid
    return {
        "scale": grid.scale,
        "translate": grid.translate,
        "units": ("mm", "mm", "mm"),
        "metadata": {KEY: Origin(kind, shows, case)},
    }


def _origin(layer: Layer) -> Origin:
    found = origin_of(layer)
    if found is None:
        raise KeyError(layer.name)
    return found


def _edited(layer: Layer) -> bool:
    return not np.array_equal(layer.data, layer.metadata["drawn"])
