"""Capture and restore view state: edited label maps, layer appearance, overlay, camera."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_ciml.cases.case import Case
from napari_ciml.decomposition.model import Region
from napari_ciml.session.storage.snapshot import EditedLabelMap
from napari_ciml.session.view_state import CameraState, LayerAppearance, SavedOverlay
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

_OVERLAYS = ("probability", "uncertainty", "difference")
_SINGLETONS = (*_OVERLAYS, "reference")
"""Kinds of which there is one layer; which region it shows is saved elsewhere."""

_KINDS = ("modality", "brain", "segmentation", "correction", *_SINGLETONS)


def edited_label_maps(layers: CaseLayers, case: Case) -> list[EditedLabelMap]:
    """Return the label maps of a case that a person has painted on."""
    edited = []
    for layer in plugin_layers(layers.viewer, "segmentation", "correction"):
        metadata = require_metadata(layer)
        if metadata.case is case and has_user_edits(layer):
            current, labels = metadata.kind == "segmentation", as_labels(layer.data)
            edited.append(EditedLabelMap(layer.name, labels, current, metadata.regions))
    return edited


def has_user_edits(layer: Layer) -> bool:
    """Whether a person has painted on a label map of the plugin."""
    return require_metadata(layer).kind == "correction" or not is_unedited(layer)


def as_labels(data: np.ndarray) -> np.ndarray:
    """Return a copy of the labels of a layer as uint8, or uint16 if a value needs that."""
    values = np.asarray(data)
    return values.astype(np.uint8 if values.max(initial=0) < 256 else np.uint16)


def saved_layers(layers: CaseLayers, saved: Sequence[EditedLabelMap]) -> list[Labels]:
    """Return the layers whose label maps are saved as they are now."""
    matches = []
    for layer in plugin_layers(layers.viewer, "segmentation", "correction"):
        candidates = (one for one in saved if one.name == layer.name)
        if any(np.array_equal(one.labels, layer.data) for one in candidates):
            matches.append(layer)
    return matches


def release_saved_layer(layers: CaseLayers, layer: Labels) -> None:
    """Remove a saved layer, or mark it as unedited so that the next case replaces it."""
    if require_metadata(layer).kind == "correction":
        layers.viewer.layers.remove(layer)
    else:
        mark_unedited(layer)


def restore_edited_label_maps(
    layers: CaseLayers, case: Case, saved: Iterable[EditedLabelMap], regions: tuple[Region, ...]
) -> Iterator[None]:
    """Restore label maps that a person has painted on; a generator, as `CaseLayers.show_case`.

    ``regions`` are those of label maps whose own are unknown.
    """
    for one in saved:
        if one.current:
            (layer,) = plugin_layers(layers.viewer, "segmentation")
            layer.data = one.labels
            clear_paint_history(layer)
            layer.visible = True
        else:
            add_correction(layers.viewer, case, one.labels, one.regions or regions, one.name)
        yield


def layer_appearances(
    layers: CaseLayers, case: Case, layouts: LayoutManager
) -> tuple[LayerAppearance, ...]:
    """Return the appearance of the layers of a case, as in one plane."""
    return tuple(
        _appearance(layer, layouts.visible_alone(layer)) for layer in _layers_of(layers, case)
    )


def apply_layer_appearances(
    layers: CaseLayers, case: Case, appearances: Sequence[LayerAppearance]
) -> None:
    """Apply saved appearances to the layers of a case; those without a layer are ignored."""
    for layer in _layers_of(layers, case):
        for appearance in appearances:
            if (appearance.kind, appearance.shows) == _identity(layer):
                _apply(layer, appearance)


def visible_overlay(layers: CaseLayers) -> SavedOverlay | None:
    """Return what of a region is shown over the images."""
    for layer in plugin_layers(layers.viewer, *_OVERLAYS):
        if layer.visible:
            metadata = require_metadata(layer)
            return SavedOverlay(kind=metadata.shows, region=metadata.region)
    return None


def camera_state(viewer: "ViewerModel", layouts: LayoutManager) -> CameraState | None:
    """Return slices, camera and layout; None if the viewer is not three-dimensional."""
    dims, camera = viewer.dims, viewer.scene.camera
    if dims.ndim != 3:
        return None
    return CameraState(
        point=tuple(float(mm) for mm in dims.point),
        order=tuple(int(axis) for axis in dims.order),
        ndisplay=dims.ndisplay,
        center=tuple(float(mm) for mm in camera.center),
        zoom=float(camera.zoom * layouts.zoom_factor),
        angles=tuple(float(angle) for angle in camera.angles),
        layout=layouts.current,
    )


def apply_camera_state(viewer: "ViewerModel", state: CameraState) -> Iterator[None]:
    """Apply saved slices and camera; a generator, as `CaseLayers.show_case`."""
    viewer.dims.ndisplay = state.ndisplay
    viewer.dims.order = state.order
    yield
    for axis, mm in enumerate(state.point):
        viewer.dims.set_point(axis, mm)
    yield
    camera = viewer.scene.camera
    camera.angles, camera.zoom, camera.center = state.angles, state.zoom, state.center


def _layers_of(layers: CaseLayers, case: Case) -> list[Layer]:
    return [
        layer
        for layer in plugin_layers(layers.viewer, *_KINDS)
        if require_metadata(layer).case is case
    ]


def _identity(layer: Layer) -> tuple[str, str]:
    """Return the kind of a layer and what it shows, by which it is recognised."""
    metadata = require_metadata(layer)
    if metadata.kind in _SINGLETONS:
        return metadata.kind, ""
    return metadata.kind, layer.name if metadata.kind == "correction" else metadata.shows


def _appearance(layer: Layer, visible: bool) -> LayerAppearance:
    kind, shows = _identity(layer)
    common = LayerAppearance(kind=kind, shows=shows, visible=visible, opacity=layer.opacity)
    if isinstance(layer, Image):
        low, high = (float(value) for value in layer.contrast_limits)
        update = {
            "limits": (low, high),
            "gamma": float(layer.gamma),
            "colormap": str(layer.colormap.name),
        }
    else:
        update = {"contour": int(layer.contour) if isinstance(layer, Labels) else None}
    return common.model_copy(update=update)


def _apply(layer: Layer, appearance: LayerAppearance) -> None:
    layer.visible, layer.opacity = appearance.visible, appearance.opacity
    if isinstance(layer, Image):
        if appearance.limits is not None:
            set_contrast_limits(layer, appearance.limits)
        if appearance.gamma is not None:
            layer.gamma = appearance.gamma
        if appearance.colormap is not None:
            layer.colormap = appearance.colormap
    elif appearance.contour is not None:
        layer.contour = appearance.contour
