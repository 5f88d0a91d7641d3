"""Layers: created, named, coloured, scaled and placed here and nowhere else.

Layers made here carry their origin in ``metadata["napari_ciml"]`` and are found by it, never by
name. Running again replaces what was made here; what the user made or changed is kept.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.window import object_box
from napari_ciml.decomposition import Pair
from napari_ciml.widgets.looks import (
    MAP_COLOURS,
    colours_of,
    label_colours,
    label_features,
)
from napari_ciml.widgets.origin import KEY, Origin, known_origin, origin_of, placed

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ciml.explanation.explain import Explanation
    from napari_ciml.inference.segment import Segmentation

_DRAWN = "drawn"
"""Metadata key of a segmentation as it was computed, to see whether the user has painted on it."""

_BEFORE = " (run before)"

_OUTLINE = 1
"""Width in voxels of the segmentation's outline while a map or a probability is shown."""


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
        for layer in self.made("map", "probability", "segmentation", "modality"):
            self._let_go(layer)
            yield
        for name in reversed(list(case.images)):
            layer = Image(
                case.images[name],
                name=name,
                colormap=colours_of(name),
                contrast_limits=limits[name],
                visible=name == case.reference,
                interpolation2d="linear",
                **placed(case, "modality", name),
            )
            yield
            self.viewer.add_layer(layer)
            yield
        yield from self._add_empty_segmentation(case)
        self.viewer.layers.selection.active = self.made("modality")[-1]
        self.viewer.dims.axis_labels = ("z", "y", "x")
        self.viewer.canvas.overlays.scale_bar.visible = True
        yield
        self._look_at(case.grid, object_box(case.images[case.reference]))

    def show_segmentation(self, case: Case, segmentation: "Segmentation") -> Iterator[None]:
        """Replace the segmentation before; one the user has painted on is kept, and renamed.

        A generator, as `show_case`.
        """
        for layer in self.made("map", "probability"):
            layer.visible = False
            layer.name = f"{layer.name.removesuffix(_BEFORE)}{_BEFORE}"
        if all(self._gave_away(layer) for layer in self.made("segmentation")):
            yield from self._add_empty_segmentation(case)
        (layer,) = self.made("segmentation")
        whole, labels = segmentation.plan.decomposition, segmentation.label_map
        layer.metadata[_DRAWN] = labels
        look = {"colormap": label_colours(whole), "features": label_features(whole)}
        lacks = ", ".join(segmentation.missing)
        look["name"] = f"segmentation without {lacks}" if lacks else "segmentation"
        for name, value in (
            {"data": labels.copy(), "contour": 0} | look | {"visible": True}
        ).items():
            yield
            setattr(layer, name, value)
        yield
        self._go_to(labels > 0)

    def show_probability(self, case: Case, segmentation: "Segmentation", region: str) -> None:
        """Show a region's probability."""
        values, name = segmentation.probabilities[region], f"probability of {region}"
        self._overlay(case, values, name, "probability", colormap="magma", blending="additive")

    def show_map(self, case: Case, explanation: "Explanation", pair: Pair, auxiliary: str) -> None:
        """Show what an auxiliary added to a pair, over the auxiliary's own image."""
        zeta, name = explanation.maps[pair, auxiliary], f"{auxiliary} for {' '.join(pair)}"
        self._overlay(case, zeta, name, "map", colormap=MAP_COLOURS, blending="translucent")
        self.show_modality(auxiliary)

    def show_modality(self, name: str) -> None:
        """Make one modality the visible one."""
        for layer in self.made("modality"):
            layer.visible = known_origin(layer).shows == name

    def set_window(self, name: str, limits: tuple[float, float]) -> None:
        """Show a modality between these intensities, and make it the visible one."""
        for layer in self._of_modality(name):
            low, high = layer.contrast_limits_range
            layer.contrast_limits_range = (min(low, limits[0]), max(high, limits[1]))
            layer.contrast_limits = limits
        self.show_modality(name)

    def set_colours(self, name: str, colormap: str) -> None:
        """Show a modality in these colours, and make it the visible one."""
        for layer in self._of_modality(name):
            layer.colormap = colormap
        self.show_modality(name)

    def set_map_opacity(self, opacity: float) -> None:
        """Set the opacity, in [0, 1], of the map that is shown."""
        for layer in self.made("map"):
            layer.opacity = opacity

    def hide_results(self) -> None:
        """Hide maps and probabilities; they come back when asked for."""
        for layer in self.made("map", "probability"):
            layer.visible = False
        self._outline(0)

    def _overlay(
        self, case: Case, values: np.ndarray, name: str, kind: str, **look: object
    ) -> None:
        """Show values in [0, 1] below the outline of the segmentation.

        A layer that is there is given the new values: napari takes a third of a second to remove
        one, because it collects garbage then.
        """
        self._outline(_OUTLINE)
        there = self.made(kind)
        if there:
            for attribute, value in {"data": values, "name": name, "visible": True}.items():
                setattr(there[0], attribute, value)
            return
        layer = Image(
            values,
            name=name,
            contrast_limits=(0, 1),
            opacity=0.8,
            interpolation2d="linear",
            **look,
            **placed(case, kind, name),
        )
        labels = self.made("segmentation")
        place = self.viewer.layers.index(labels[0]) if labels else len(self.viewer.layers)
        self.viewer.layers.insert(place, layer)

    def add_correction(self, case: Case, name: str, labels: np.ndarray) -> None:
        """Add a label map that somebody has painted on, beside the segmentation."""
        layer = Labels(labels, name=name, opacity=0.55, **placed(case, "correction", ""))
        self.viewer.add_layer(layer)

    def is_as_drawn(self, layer: Layer) -> bool:
        """Whether a layer shows what was computed, and no stroke of the user's."""
        drawn = layer.metadata.get(_DRAWN)
        return drawn is not None and np.array_equal(layer.data, drawn)

    def forget_strokes(self, layer: Layer) -> None:
        """Let a layer that was painted on go with its case: its strokes are kept elsewhere."""
        if known_origin(layer).kind == "correction":
            self.viewer.layers.remove(layer)
        else:
            layer.metadata[_DRAWN] = np.array(layer.data)

    def _outline(self, width: int) -> None:
        """Draw the segmentation as an outline of this width, or filled if it is 0."""
        for layer in self.made("segmentation"):
            layer.contour = width

    def _add_empty_segmentation(self, case: Case) -> Iterator[None]:
        """Add the Labels layer that a run will fill.

        napari takes a fifth of a second for its first one: better while a case is being opened
        than in the middle of looking at it.
        """
        empty = np.zeros(case.grid.shape, np.uint8)
        origin = placed(case, "segmentation", "")
        layer = Labels(empty, name="segmentation", opacity=0.55, visible=False, **origin)
        layer.metadata[_DRAWN] = empty.copy()
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

    def made(self, *kinds: str) -> list[Layer]:
        """Return the layers of these kinds that were made here, bottom first."""
        return [
            layer
            for layer in self.viewer.layers
            if (found := origin_of(layer)) is not None and found.kind in kinds
        ]

    def _of_modality(self, name: str) -> list[Layer]:
        return [layer for layer in self.made("modality") if known_origin(layer).shows == name]

    def _let_go(self, layer: Layer) -> None:
        if not self._gave_away(layer):
            self.viewer.layers.remove(layer)

    def _gave_away(self, layer: Layer) -> bool:
        """Whether the user has painted on it; it is theirs now, with its place in the world."""
        drawn = layer.metadata.get(_DRAWN)
        if drawn is None or np.array_equal(layer.data, drawn):
            return False
        layer.metadata = {KEY: Origin("correction", "", known_origin(layer).case)}
        layer.name = "segmentation (edited)"
        return True
