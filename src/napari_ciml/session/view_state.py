"""What is shown and how: layers, camera, layout, map, overlay, compared runs.

Plain values that a session saves and the window restores.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_ciml.inference.uncertainty_maps import UncertaintyKind

Triplet = tuple[float, float, float]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class SavedMapView(_Frozen):
    """The complementary-information map that is shown.

    Parameters
    ----------
    answer : int or None
        Index of the answered query; None is the whole case.
    primary, region, auxiliary : str
        The map.
    opacity : float
        In [0, 1].
    """

    answer: int | None
    primary: str
    region: str
    auxiliary: str
    opacity: Annotated[float, Field(ge=0, le=1)]


class SavedOverlay(_Frozen):
    """What of a region is shown over the images: its probability, an uncertainty, a difference."""

    kind: Literal["probability", "difference"] | UncertaintyKind
    region: str

    @property
    def uncertainty(self) -> UncertaintyKind | None:
        """The kind of uncertainty, if it is one."""
        if self.kind == "probability":
            return None
        return None if self.kind == "difference" else self.kind


class SavedRunComparison(_Frozen):
    """Two runs that are compared, by their indices in the history."""

    first: Annotated[int, Field(ge=0)]
    second: Annotated[int, Field(ge=0)]
    region: str
    side_by_side: bool


class LayerAppearance(_Frozen):
    """Appearance of a layer; ``kind`` and ``shows`` identify the layer, see `LayerMetadata`."""

    kind: str
    shows: str
    visible: bool
    opacity: float
    limits: tuple[float, float] | None = None
    gamma: float | None = None
    colormap: str | None = None
    contour: int | None = None


Arrangement = Literal["single", "panes", "planes"]
"""Layout: one plane, every modality in a pane of its own, or three planes."""


class CameraState(_Frozen):
    """Slices, camera and layout; zoom and centre as in one plane.

    Parameters
    ----------
    point : tuple of float
        Position of the slices, (Z, Y, X) in mm.
    order : tuple of int
        Order of the axes; the last two are displayed.
    ndisplay : int
        2 or 3 displayed dimensions.
    center, zoom, angles
        As of napari's camera.
    layout : str
        One of `Arrangement`.
    """

    point: Triplet
    order: tuple[int, int, int]
    ndisplay: Annotated[int, Field(ge=2, le=3)]
    center: Triplet
    zoom: Annotated[float, Field(gt=0)]
    angles: Triplet
    layout: Arrangement = "single"
