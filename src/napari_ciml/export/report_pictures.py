"""Key images of a report: axial slices of a case with contours and maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.display_window import display_range, object_bounding_box
from napari_ciml.decomposition.model import Decomposition, Region
from napari_ciml.explanation.result import Explanation

_MARGIN_MM = 10.0
"""Margin around the object in a picture."""


@dataclass(frozen=True)
class Picture:
    """An axial slice.

    Parameters
    ----------
    title, caption : str
        Text above and below.
    image : numpy.ndarray
        Slice, (Y, X) float32; first row anterior, first column on the patient's right.
    limits : tuple of float
        Contrast limits.
    aspect : float
        Height of a pixel divided by its width.
    mask : numpy.ndarray
        Mask to draw as a contour, (Y, X) bool.
    colour : str
        Colour of the contour.
    overlay : numpy.ndarray or None
        Complementary-information map in [0, 1], (Y, X).
    inverted : bool
        Whether large values are dark, as in PET.
    """

    title: str
    caption: str
    image: np.ndarray
    limits: tuple[float, float]
    aspect: float
    mask: np.ndarray
    colour: str
    overlay: np.ndarray | None = None
    inverted: bool = False


@dataclass(frozen=True)
class KeyImageRenderer:
    """Render key images of a case.

    Parameters
    ----------
    case : Case
        The case.
    masks : mapping of str to numpy.ndarray
        Mask by region, (Z, Y, X) bool on the case grid.
    limits : mapping of str to (float, float)
        Contrast limits by modality that the user has set.
    """

    case: Case
    masks: Mapping[str, np.ndarray]
    limits: Mapping[str, tuple[float, float]]

    def regions(self, decomposition: Decomposition) -> list[Picture]:
        """Return each region's largest axial slice on its primary modality."""
        pictures = []
        for region in decomposition.regions:
            pair = next((pair for pair in decomposition.pairs if pair.region == region.name), None)
            mask = self.masks[region.name]
            if pair is not None and mask.any():
                primary = decomposition.subtask(pair.primary).primary[0]
                k = _largest(mask)
                area = np.count_nonzero(mask[k]) * self._pixel_cm2()
                title = f"{region.name} on {primary}"
                pictures.append(self._picture(region, primary, k, title, f"{area:.1f} cm²"))
        return pictures

    def maps(self, decomposition: Decomposition, explanation: Explanation) -> list[Picture]:
        """Return each region's strongest map inside the region, on its auxiliary modality."""
        pictures = []
        for region in decomposition.regions:
            mask = self.masks[region.name]
            sums = {
                key: float(zeta[mask].sum())
                for key, zeta in explanation.maps.items()
                if key[0].region == region.name
            }
            strongest = max(sums, key=lambda key: sums[key], default=None)
            if strongest is None or sums[strongest] == 0:
                continue
            (pair, auxiliary), zeta = strongest, explanation.maps[strongest]
            k = int((zeta * mask).sum(axis=(1, 2)).argmax())
            weight = explanation.weights[strongest]
            title = f"{auxiliary} for {pair.primary} {pair.region}"
            caption = f"weight {weight:.2f}"
            pictures.append(self._picture(region, auxiliary, k, title, caption, zeta[k]))
        return pictures

    def _picture(
        self,
        region: Region,
        modality: str,
        k: int,
        title: str,
        caption: str,
        overlay: np.ndarray | None = None,
    ) -> Picture:
        volume, grid = self.case.images[modality], self.case.grid
        box = _with_margin(object_bounding_box(volume), grid.scale, grid.shape)
        height = grid.translate[0] + k * grid.scale[0]
        return Picture(
            title=title,
            caption=f"slice {k + 1} of {grid.shape[0]} (z = {height:.0f} mm), {caption}",
            image=volume[k][box],
            limits=self.limits.get(modality)
            or display_range(volume, modality, self.case.units.get(modality, "")),
            aspect=grid.scale[1] / grid.scale[2],
            mask=self.masks[region.name][k][box],
            colour=region.colour,
            overlay=None if overlay is None else overlay[box],
            inverted=modality == "PET",
        )

    def _pixel_cm2(self) -> float:
        return self.case.grid.scale[1] * self.case.grid.scale[2] / 100


def _largest(mask: np.ndarray) -> int:
    return int(np.count_nonzero(mask, axis=(1, 2)).argmax())


def _with_margin(
    box: Sequence[slice], scale: Sequence[float], shape: Sequence[int]
) -> tuple[slice, slice]:
    """Return the in-plane part of a box, (Y, X), with a margin."""
    padded = []
    for extent, mm, n in zip(box[1:], scale[1:], shape[1:], strict=True):
        margin = round(_MARGIN_MM / mm)
        padded.append(slice(max(0, extent.start - margin), min(n, extent.stop + margin)))
    return padded[0], padded[1]
