"""How the window stands: what was painted, how layers are looked at, where the camera is."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Region
from napari_ciml.session.storage.schema import CameraState, LayerAppearance, SavedOverlay
from napari_ciml.session.storage.snapshot import EditedLabelMap
from napari_ciml.widgets.display.layouts import LayoutManager
from napari_ciml.widgets.layers.case_layers import CaseLayers
from napari_ciml.widgets.layers.colormaps import set_contrast_limits
from napari_ciml.widgets.layers.label_maps import add_correction
from napari_ciml.widgets.layers.metadata import (
    clear_paint_history,
    is_unedited,
    mark_unedited,
    plugin_layers,
    require_metadata,
)

if TYPE_CHECKING:
    from napari.components import ViewerModel

_LAID = ("probability", "uncertainty", "difference")
_ALONE = (*_LAID, "reference")
"""Kinds of which there is one layer; who is shown by it is saved elsewhere."""

_KINDS = ("modality", "brain", "segmentation", "correction", *_ALONE)


def edited_label_maps(layers: CaseLayers, case: Case) -> list[EditedLabelMap]:
    """Return the label maps of a case that a person has painted on."""
    found = []
    for layer in plugin_layers(layers.viewer, "segmentation", "correction"):
        origin = require_metadata(layer)
        if origin.case is case and has_user_edits(layer):
            current = origin.kind == "segmentation"
            found.append(EditedLabelMap(layer.name, as_labels(layer.data), current, origin.regions))
    return found


def has_user_edits(layer: Layer) -> bool:
    """Whether a person has painted on a label map of ours."""
    return require_metadata(layer).kind == "correction" or not is_unedited(layer)


def as_labels(data: np.ndarray) -> np.ndarray:
    """Return a copy of a layer's labels as unsigned integers, as small as they can be."""
    values = np.asarray(data)
    return values.astype(np.uint8 if values.max(initial=0) < 256 else np.uint16)


def saved_layers(layers: CaseLayers, saved: Sequence[EditedLabelMap]) -> list[Labels]:
    """Return the layers whose strokes are saved; one with newer strokes is none of them."""
    found = []
    for layer in plugin_layers(layers.viewer, "segmentation", "correction"):
        kept = (one for one in saved if one.name == layer.name)
        if any(np.array_equal(one.labels, layer.data) for one in kept):
            found.append(layer)
    return found


def release_saved_layer(layers: CaseLayers, layer: Labels) -> None:
    """Let a layer whose strokes are saved go with its case."""
    if require_metadata(layer).kind == "correction":
        layers.viewer.layers.remove(layer)
    else:
        mark_unedited(layer)


def restore_edited_label_maps(
    layers: CaseLayers, case: Case, found: Iterable[EditedLabelMap], regions: tuple[Region, ...]
) -> Iterator[None]:
    """Put back what was painted; a generator, as `CaseLayers.show_case`.

    ``regions`` are those of label maps of which nobody has said what their values mean.
    """
    for one in found:
        if one.current:
            (layer,) = plugin_layers(layers.viewer, "segmentation")
            layer.data = one.labels
            clear_paint_history(layer)
            layer.visible = True
        else:
            add_correction(layers.viewer, case, one.labels, one.regions or regions, one.name)
        yield


def layer_appearances(
    layers: CaseLayers, case: Case, arranging: LayoutManager
) -> tuple[LayerAppearance, ...]:
    """Return how the layers of a case are looked at, with one plane."""
    return tuple(_look(layer, arranging.visible_alone(layer)) for layer in _of(layers, case))


def apply_layer_appearances(
    layers: CaseLayers, case: Case, wanted: Sequence[LayerAppearance]
) -> None:
    """Look at the layers of a case as before; those that are gone are passed over."""
    for layer in _of(layers, case):
        for look in wanted:
            if (look.kind, look.shows) == _name(layer):
                _apply(layer, look)


def visible_overlay(layers: CaseLayers) -> SavedOverlay | None:
    """Return what of a region is seen over the images."""
    for layer in plugin_layers(layers.viewer, *_LAID):
        if layer.visible:
            origin = require_metadata(layer)
            return SavedOverlay(kind=origin.shows, region=origin.region)
    return None


def camera_state(viewer: "ViewerModel", arranging: LayoutManager) -> CameraState | None:
    """Return where slices and camera are; None for a viewer of other dimensions."""
    dims, camera = viewer.dims, viewer.scene.camera
    if dims.ndim != 3:
        return None
    return CameraState(
        point=tuple(float(mm) for mm in dims.point),
        order=tuple(int(axis) for axis in dims.order),
        ndisplay=dims.ndisplay,
        centre=tuple(float(mm) for mm in camera.center),
        zoom=float(camera.zoom * arranging.zoom_factor),
        angles=tuple(float(angle) for angle in camera.angles),
        arrangement=arranging.current,
    )


def apply_camera_state(viewer: "ViewerModel", wanted: CameraState) -> Iterator[None]:
    """Go back to where slices and camera were; a generator, as `CaseLayers.show_case`."""
    viewer.dims.ndisplay = wanted.ndisplay
    viewer.dims.order = wanted.order
    yield
    for axis, mm in enumerate(wanted.point):
        viewer.dims.set_point(axis, mm)
    yield
    camera = viewer.scene.camera
    camera.angles, camera.zoom, camera.center = wanted.angles, wanted.zoom, wanted.centre


def _of(layers: CaseLayers, case: Case) -> list[Layer]:
    return [
        layer
        for layer in plugin_layers(layers.viewer, *_KINDS)
        if require_metadata(layer).case is case
    ]


def _name(layer: Layer) -> tuple[str, str]:
    origin = require_metadata(layer)
    if origin.kind in _ALONE:
        return origin.kind, ""
    return origin.kind, layer.name if origin.kind == "correction" else origin.shows


def _look(layer: Layer, visible: bool) -> LayerAppearance:
    kind, shows = _name(layer)
    seen = {"kind": kind, "shows": shows, "visible": visible, "opacity": layer.opacity}
    if isinstance(layer, Image):
        low, high = (float(value) for value in layer.contrast_limits)
        colours = str(layer.colormap.name)
        return LayerAppearance(
            **seen, limits=(low, high), gamma=float(layer.gamma), colours=colours
        )
    return LayerAppearance(
        **seen, contour=int(layer.contour) if isinstance(layer, Labels) else None
    )


def _apply(layer: Layer, look: LayerAppearance) -> None:
    layer.visible, layer.opacity = look.visible, look.opacity
    if isinstance(layer, Image):
        if look.limits is not None:
            set_contrast_limits(layer, look.limits)
        if look.gamma is not None:
            layer.gamma = look.gamma
        if look.colours is not None:
            layer.colormap = look.colours
    elif look.contour is not None:
        layer.contour = look.contour
