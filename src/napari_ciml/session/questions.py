"""Questions to the model: why this lesion, why this voxel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from napari_ciml.decomposition.model import Pair, Region
from napari_ciml.errors import InputError
from napari_ciml.explanation.result import Explanation
from napari_ciml.inference.result import Segmentation
from napari_ciml.metrics.diameters import bounding_box

Voxel = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class ExplanationQuery:
    """What is asked about.

    Parameters
    ----------
    name : str
        In the list of questions.
    find : callable
        Finds the voxels; called where the question is answered, not where it is asked.
    """

    name: str
    find: Callable[[], Mapping[str, np.ndarray]]

    @cached_property
    def masks(self) -> Mapping[str, np.ndarray]:
        """The voxels asked about by region, (Z, Y, X) bool on the case grid."""
        return self.find()


@dataclass(frozen=True, eq=False)
class AnsweredQuery:
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
    explanation: Explanation
    segmentation: Segmentation

    def same_as(self, other: "AnsweredQuery") -> bool:
        """Whether the same was asked of the same segmentation."""
        return self.name == other.name and self.segmentation is other.segmentation

    @property
    def in_words(self) -> str:
        """Who added how much: the weights of each pair, the largest first."""
        parts: dict[Pair, list[tuple[float, str]]] = {}
        for (pair, auxiliary), weight in self.explanation.weights.items():
            parts.setdefault(pair, []).append((weight, auxiliary))
        said = [
            f"{pair.region} in {pair.primary}: "
            + (", ".join(f"{name} {weight:.2f}" for weight, name in sorted(found, reverse=True)))
            for pair, found in parts.items()
            if any(weight > 0 for weight, _ in found)
        ]
        return "; ".join(said) or "no auxiliary added anything"


def query_at_voxel(
    labels: np.ndarray,
    regions: Sequence[Region],
    voxel: Voxel,
    region: str | None = None,
    *,
    one_voxel: bool = False,
) -> ExplanationQuery:
    """Return what a click asks about: a region's connected component, or the voxel alone.

    Components join over faces, edges and corners.

    Parameters
    ----------
    labels : numpy.ndarray
        Label map, (Z, Y, X) unsigned integers; nobody paints on it any more.
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
    names = tuple(one.name for one in chosen)
    if one_voxel:
        title = f"{' '.join(names)} in voxel {format_voxel(voxel)}"
        return ExplanationQuery(title, lambda: dict.fromkeys(names, _single(labels.shape, voxel)))
    if not set(chosen) & set(here):
        what = region or "no region"
        raise InputError(
            f"The label map has {what} there; click inside of one, or ask about the voxel."
            if region is None
            else f"{what} is not there; click inside of it, or ask about the voxel."
        )
    values = chosen[0].labels
    return ExplanationQuery(
        lesion_query_title(names[0], voxel), lambda: {names[0]: _component(labels, values, voxel)}
    )


def lesion_query_title(region: str, voxel: Voxel) -> str:
    """Return what the question about a lesion is called."""
    return f"{region} at {format_voxel(voxel)}"


def format_voxel(voxel: Voxel) -> str:
    """Return a voxel as (x, y, z), as the status bar and other programs say it."""
    return "({}, {}, {})".format(*reversed(voxel))


def _single(shape: tuple[int, ...], voxel: Voxel) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[voxel] = True
    return mask


def _component(labels: np.ndarray, values: Sequence[int], voxel: Voxel) -> np.ndarray:
    from scipy import ndimage

    mask = np.isin(labels, values)
    box = bounding_box(mask)
    parts, _ = ndimage.label(mask[box], np.ones((3, 3, 3)))
    own = parts[tuple(k - part.start for k, part in zip(voxel, box, strict=True))]
    mask[box] = parts == own
    return mask
