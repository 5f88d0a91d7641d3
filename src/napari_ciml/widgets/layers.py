"""Layers: created, named, coloured, scaled and placed here and nowhere else.

Layers made here carry their origin in ``metadata["napari_ciml"]`` and are found by it, never by
name. Running again replaces what was made here; what the user made or changed is kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_ciml.cases.case import Case
from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.window import object_box
from napari_ciml.decomposition import Pair
from napari_ciml.widgets.brain_layer import brain_layer
from napari_ciml.widgets.looks import (
    DOUBT_COLOURS,
    MAP_COLOURS,
    colours_of,
    label_colours,
    label_features,
)
from napari_ciml.widgets.origin import (
    KEY,
    Origin,
    known_origin,
    made_here,
    origin_of,
    placed,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ciml.explanation.explain import Explanation
    from napari_ciml.inference.segment import Segmentation

_DRAWN = "drawn"
"""Metadata key of a segmentation as it was computed, to see whether the user has painted on it."""

_BEFORE = " (run before)"

_RESULTS = ("map", "probability", "doubt")
"""Kinds of what is laid over the modalities."""

_CHANGES = ("change", "compared")
"""Kinds of what lies over the segmentation after an edit, or while two runs are compared."""

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
        shown = ("checkerboard", "brain", "difference", "reference", "segmentation", "modality")
        for layer in self._made(*_RESULTS, *_CHANGES, *shown):
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
        if case.brain is not None:
            self.viewer.add_layer(brain_layer(case, case.brain))
            yield
        yield from self._add_empty_segmentation(case)
        self.viewer.layers.selection.active = self._made("modality")[-1]
        self.viewer.dims.axis_labels = ("z", "y", "x")
        yield
        self._look_at(case.grid, object_box(case.images[case.reference]))

    def show_segmentation(
        self, case: Case, segmentation: "Segmentation", *, stay: bool = False
    ) -> Iterator[None]:
        """Replace the segmentation before; one the user has painted on is kept, and renamed.

        A generator, as `show_case`. With ``stay`` slice and outline stay as they are.
        """
        for layer in self._made(*_RESULTS):
            layer.visible = False
            layer.name = f"{layer.name.removesuffix(_BEFORE)}{_BEFORE}"
        whole, labels = segmentation.plan.decomposition, segmentation.label_map
        fresh = labels.copy()
        yield
        # The user may paint between two steps: nothing comes between this look and the new data.
        while all(self._gave_away(layer) for layer in self._made("segmentation")):
            yield from self._add_empty_segmentation(case)
        (layer,) = self._made("segmentation")
        layer.metadata[_DRAWN] = labels
        layer.metadata[KEY] = Origin("segmentation", "", case, whole.regions)
        layer.data = fresh
        forget_strokes(layer)
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

    def show_probability(self, case: Case, segmentation: "Segmentation", region: str) -> None:
        """Show a region's probability."""
        values, name = segmentation.probabilities[region], f"probability of {region}"
        self._overlay(case, values, name, "probability", colormap="magma", blending="additive")

    def show_doubt(self, case: Case, values: np.ndarray, name: str, largest: float) -> None:
        """Show how unsure a segmentation is, from 0 to the largest value for every region."""
        self._overlay(case, values, name, "doubt", colormap=DOUBT_COLOURS, blending="translucent")
        for layer in self._made("doubt"):
            layer.contrast_limits_range = layer.contrast_limits = (0, largest)

    def show_map(self, case: Case, explanation: "Explanation", pair: Pair, auxiliary: str) -> None:
        """Show what an auxiliary added to a pair, over the auxiliary's own image."""
        zeta, name = explanation.maps[pair, auxiliary], f"{auxiliary} for {' '.join(pair)}"
        self._overlay(case, zeta, name, "map", colormap=MAP_COLOURS, blending="translucent")
        self.show_modality(auxiliary)

    def modalities(self) -> list[Image]:
        """Return the layers of the case's modalities, in the case's order."""
        return [layer for layer in reversed(self._made("modality")) if isinstance(layer, Image)]

    def segmentation(self) -> Labels | None:
        """Return the layer of the segmentation, if a case is open."""
        return next(iter(self._made("segmentation")), None)

    def corrected(self) -> bool:
        """Whether the user has painted on a segmentation of the case."""
        found = ((la, la.metadata.get(_DRAWN)) for la in self._made("segmentation"))
        return bool(self._made("correction")) or any(
            drawn is not None and not np.array_equal(layer.data, drawn) for layer, drawn in found
        )

    def show_modality(self, name: str) -> None:
        """Make one modality the visible one."""
        for layer in self._made("modality"):
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
        for layer in self._made("map"):
            layer.opacity = opacity

    def show_checkerboard(self, case: Case, values: np.ndarray, name: str) -> None:
        """Show a checkerboard, (Z, Y, X) uint8, over everything else."""
        there = self._made("checkerboard")
        if there:
            for attribute, value in {"data": values, "name": name, "visible": True}.items():
                setattr(there[0], attribute, value)
            return
        origin = placed(case, "checkerboard", name)
        self.viewer.add_layer(
            Image(values, name=name, colormap="gray", contrast_limits=(0, 255), **origin)
        )

    def hide_checkerboard(self) -> None:
        """Hide the checkerboard."""
        for layer in self._made("checkerboard"):
            layer.visible = False

    def hide_results(self) -> None:
        """Hide maps and probabilities; they come back when asked for."""
        for layer in self._made(*_RESULTS):
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
        for layer in self._made("change", "compared"):
            layer.visible = False
        there = self._made(kind)
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
        labels = self._made("segmentation")
        place = self.viewer.layers.index(labels[0]) if labels else len(self.viewer.layers)
        self.viewer.layers.insert(place, layer)

    def _outline(self, width: int) -> None:
        """Draw the segmentation as an outline of this width, or filled if it is 0."""
        for layer in self._made("segmentation"):
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

    def _made(self, *kinds: str) -> list[Layer]:
        return made_here(self.viewer, *kinds)

    def _of_modality(self, name: str) -> list[Layer]:
        return [layer for layer in self._made("modality") if known_origin(layer).shows == name]

    def _let_go(self, layer: Layer) -> None:
        if not self._gave_away(layer):
            self.viewer.layers.remove(layer)

    def _gave_away(self, layer: Layer) -> bool:
        """Whether the user has painted on it; it is theirs now, with its place in the world."""
        if is_as_drawn(layer):
            return False
        layer.metadata = {KEY: replace(known_origin(layer), kind="correction")}
        layer.name = "segmentation (edited)"
        return True


def is_as_drawn(layer: Layer) -> bool:
    """Whether a layer of ours shows what was computed, and no stroke of the user's."""
    drawn = layer.metadata.get(_DRAWN)
    return origin_of(layer) is not None and (drawn is None or np.array_equal(layer.data, drawn))


def forget_strokes(layer: Labels) -> None:
    """Empty napari's undo list, which would paint strokes of the data before on the new data."""
    mode = layer.mode
    layer.editable = False
    layer.editable = True
    layer.mode = mode


def declare_saved(layer: Labels) -> None:
    """Let a label map that was painted on go with its case: its strokes are kept elsewhere."""
    layer.metadata[_DRAWN] = np.array(layer.data)
