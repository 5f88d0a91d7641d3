"""Questions to the model: why this lesion, why this voxel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_ciml.decomposition import Region
from napari_ciml.errors import InputError

if TYPE_CHECKING:
    from napari_ciml.explanation.explain import Explanation
    from napari_ciml.inference.segment import Segmentation

Voxel = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Asking:
    """What is asked about.

    Parameters
    ----------
    name : str
        In the list of questions.
    masks : mapping of str to numpy.ndarray
        By region, (Z, Y, X) bool on the case grid.
    """

    name: str
    masks: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Question:
    """A question that was answered.

    Parameters
    ----------
    name : str
        In the list of questions.
    explanation : Explanation
        The answer.
    segmentation : Segmentation
        The one that it explains.
    """

    name: str
    explanation: "Explanation"
    segmentation: "Segmentation"


def about(
    labels: np.ndarray,
    regions: Sequence[Region],
    voxel: Voxel,
    region: str | None = None,
    *,
    one_voxel: bool = False,
) -> Asking:
    """Return what a click asks about: a region's connected component, or the voxel alone.

    Components join over faces, edges and corners.

    Parameters
    ----------
    labels : numpy.ndarray
        Label map, (Z, Y, X) unsigned integers.
    regions : sequence of Region
        What its values mean.
    voxel : tuple of int
        Clicked, (z, y, x).
    region : str, optional
        Asked about; by default the innermost that the voxel is in. One voxel that is in none is
        asked about for all of them.
    one_voxel : bool
        Ask about the voxel alone.

    Raises
    ------
    InputError
        If the voxel is outside of the volume, or in no region to take a component of.
    """
    if not all(0 <= k < edge for k, edge in zip(voxel, labels.shape, strict=True)):
        raise InputError("That is outside of the case; click on a voxel of it.")
    here = [one for one in regions if labels[voxel] in one.labels]
    if region is None:
        chosen = sorted(here, key=lambda one: len(one.labels))[:1] or list(regions)
    else:
        chosen = [one for one in regions if one.name == region]
    if one_voxel:
        mask = np.zeros(labels.shape, bool)
        mask[voxel] = True
        names = " ".join(one.name for one in chosen)
        return Asking(f"{names} in voxel {_text(voxel)}", {one.name: mask for one in chosen})
    if not set(chosen) & set(here):
        what = region or "no region"
        raise InputError(
            f"The label map has {what} there; click inside of one, or ask about the voxel."
            if region is None
            else f"{what} is not there; click inside of it, or ask about the voxel."
        )
    component = _component(np.isin(labels, chosen[0].labels), voxel)
    return Asking(f"{chosen[0].name} at {_text(voxel)}", {chosen[0].name: component})


def _component(mask: np.ndarray, voxel: Voxel) -> np.ndarray:
    from scipy import ndimage

    parts, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    return np.asarray(parts == parts[voxel])


def _text(voxel: Voxel) -> str:
    """Return a voxel as (x, y, z), as the status bar and other programs say it."""
    return "({}, {}, {})".format(*reversed(voxel))
