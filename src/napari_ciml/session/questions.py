"""Queries to the explanation: why this lesion, why this voxel; and their answers."""

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
    """A query: the voxels whose evidence is to be explained.

    Parameters
    ----------
    name : str
        Title in the list of queries.
    find : callable
        Returns the voxels by region; called in the thread that answers the query.
    """

    name: str
    find: Callable[[], Mapping[str, np.ndarray]]

    @cached_property
    def masks(self) -> Mapping[str, np.ndarray]:
        """The voxels by region, (Z, Y, X) bool on the case grid."""
        return self.find()


@dataclass(frozen=True, eq=False)
class AnsweredQuery:
    """A query with its answer.

    Parameters
    ----------
    name : str
        Title in the list of queries.
    explanation : Explanation
        Maps and weights for the voxels of the query.
    segmentation : Segmentation
        The segmentation that is explained.
    """

    name: str
    explanation: Explanation
    segmentation: Segmentation

    def same_as(self, other: "AnsweredQuery") -> bool:
        """Whether it is the same query about the same segmentation."""
        return self.name == other.name and self.segmentation is other.segmentation

    @property
    def in_words(self) -> str:
        """The weights of each pair in words, the largest first."""
        parts: dict[Pair, list[tuple[float, str]]] = {}
        for (pair, auxiliary), weight in self.explanation.weights.items():
            parts.setdefault(pair, []).append((weight, auxiliary))
        sentences = [
            f"{pair.region} in {pair.primary}: "
            + (", ".join(f"{name} {weight:.2f}" for weight, name in sorted(weights, reverse=True)))
            for pair, weights in parts.items()
            if any(weight > 0 for weight, _ in weights)
        ]
        return "; ".join(sentences) or "no auxiliary added anything"


def query_at_voxel(
    labels: np.ndarray,
    regions: Sequence[Region],
    voxel: Voxel,
    region: str | None = None,
    *,
    one_voxel: bool = False,
) -> ExplanationQuery:
    """Return the query of a click: about a connected component of a region, or one voxel.

    Components join over faces, edges and corners.

    Parameters
    ----------
    labels : numpy.ndarray
        Label map, (Z, Y, X) unsigned integers; must not change until the query is answered.
    regions : sequence of Region
        The regions of its values.
    voxel : tuple of int
        Clicked, (z, y, x).
    region : str, optional
        Region to explain; by default the innermost that the voxel is in. A single voxel that is in
        none is explained for all of them.
    one_voxel : bool
        Explain the voxel alone.

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
    """Return the title of the query about a lesion."""
    return f"{region} at {format_voxel(voxel)}"


def format_voxel(voxel: Voxel) -> str:
    """Return a voxel as text in the order (x, y, z), as other programs show it."""
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
