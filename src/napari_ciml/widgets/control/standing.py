"""How the window stands: what was painted, how layers are looked at, where the camera is."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_ciml.cases.case import Case
from napari_ciml.decomposition import Region
from napari_ciml.saved.models import LaidOver, Look, View
from napari_ciml.saved.state import Painted
from napari_ciml.widgets.layers.drawn import declare_saved, forget_strokes, is_as_drawn
from napari_ciml.widgets.layers.looks import set_limits
from napari_ciml.widgets.layers.origin import known_origin, made_here
from napari_ciml.widgets.layers.reading import add_correction
from napari_ciml.widgets.layers.segmented import CaseLayers
from napari_ciml.widgets.looking.arranging import Arranging

if TYPE_CHECKING:
    from napari.components import ViewerModel

_LAID = ("probability", "doubt", "difference")
_ALONE = (*_LAID, "reference")
"""Kinds of which there is one layer; who is shown by it is saved elsewhere."""

_KINDS = ("modality", "brain", "segmentation", "correction", *_ALONE)


def painted(layers: CaseLayers, case: Case) -> list[Painted]:
    """Return the label maps of a case that a person has painted on."""
    found = []
    for layer in made_here(layers.viewer, "segmentation", "correction"):
        origin = known_origin(layer)
        if origin.case is case and is_painted(layer):
            current = origin.kind == "segmentation"
            found.append(Painted(layer.name, as_labels(layer.data), current, origin.regions))
    return found


def is_painted(layer: Layer) -> bool:
    """Whether a person has painted on a label map of ours."""
    return known_origin(layer).kind == "correction" or not is_as_drawn(layer)


def as_labels(data: np.ndarray) -> np.ndarray:
    """Return a copy of a layer's labels as unsigned integers, as small as they can be."""
    values = np.asarray(data)
    return values.astype(np.uint8 if values.max(initial=0) < 256 else np.uint16)


def saved_layers(layers: CaseLayers, saved: Sequence[Painted]) -> list[Labels]:
    """Return the layers whose strokes are saved; one with newer strokes is none of them."""
    found = []
    for layer in made_here(layers.viewer, "segmentation", "correction"):
        kept = (one for one in saved if one.name == layer.name)
        if any(np.array_equal(one.labels, layer.data) for one in kept):
            found.append(layer)
    return found


def let_go(layers: CaseLayers, layer: Labels) -> None:
    """Let a layer whose strokes are saved go with its case."""
    if known_origin(layer).kind == "correction":
        layers.viewer.layers.remove(layer)
    else:
        declare_saved(layer)


def repaint(
    layers: CaseLayers, case: Case, found: Iterable[Painted], regions: tuple[Region, ...]
) -> Iterator[None]:
    """Put back what was painted; a generator, as `CaseLayers.show_case`.

    ``regions`` are those of label maps of which nobody has said what their values mean.
    """
    for one in found:
        if one.current:
            (layer,) = made_here(layers.viewer, "segmentation")
            layer.data = one.labels
            forget_strokes(layer)
            layer.visible = True
        else:
            add_correction(layers.viewer, case, one.labels, one.regions or regions, one.name)
        yield


def looks(layers: CaseLayers, case: Case, arranging: Arranging) -> tuple[Look, ...]:
    """Return how the layers of a case are looked at, with one plane."""
    return tuple(_look(layer, arranging.visible_alone(layer)) for layer in _of(layers, case))


def set_looks(layers: CaseLayers, case: Case, wanted: Sequence[Look]) -> None:
    """Look at the layers of a case as before; those that are gone are passed over."""
    for layer in _of(layers, case):
        for look in wanted:
            if (look.kind, look.shows) == _name(layer):
                _apply(layer, look)


def laid_over(layers: CaseLayers) -> LaidOver | None:
    """Return what of a region is seen over the images."""
    for layer in made_here(layers.viewer, *_LAID):
        if layer.visible:
            origin = known_origin(layer)
            return LaidOver(kind=origin.shows, region=origin.region)
    return None


def view(viewer: "ViewerModel", arranging: Arranging) -> View | None:
    """Return where slices and camera are; None for a viewer of other dimensions."""
    dims, camera = viewer.dims, viewer.scene.camera
    if dims.ndim != 3:
        return None
    return View(
        point=tuple(float(mm) for mm in dims.point),
        order=tuple(int(axis) for axis in dims.order),
        ndisplay=dims.ndisplay,
        centre=tuple(float(mm) for mm in camera.center),
        zoom=float(camera.zoom * arranging.enlarged),
        angles=tuple(float(angle) for angle in camera.angles),
        arrangement=arranging.now,
    )


def set_view(viewer: "ViewerModel", wanted: View) -> Iterator[None]:
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
        layer for layer in made_here(layers.viewer, *_KINDS) if known_origin(layer).case is case
    ]


def _name(layer: Layer) -> tuple[str, str]:
    origin = known_origin(layer)
    if origin.kind in _ALONE:
        return origin.kind, ""
    return origin.kind, layer.name if origin.kind == "correction" else origin.shows


def _look(layer: Layer, visible: bool) -> Look:
    kind, shows = _name(layer)
    seen = {"kind": kind, "shows": shows, "visible": visible, "opacity": layer.opacity}
    if isinstance(layer, Image):
        low, high = (float(value) for value in layer.contrast_limits)
        colours = str(layer.colormap.name)
        return Look(**seen, limits=(low, high), gamma=float(layer.gamma), colours=colours)
    return Look(**seen, contour=int(layer.contour) if isinstance(layer, Labels) else None)


def _apply(layer: Layer, look: Look) -> None:
    layer.visible, layer.opacity = look.visible, look.opacity
    if isinstance(layer, Image):
        if look.limits is not None:
            set_limits(layer, look.limits)
        if look.gamma is not None:
            layer.gamma = look.gamma
        if look.colours is not None:
            layer.colormap = look.colours
    elif look.contour is not None:
        layer.contour = look.contour
