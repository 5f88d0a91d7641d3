"""The brain in images of a whole head: whether it has to be found, and a classical way to do it.

Checkpoints for brain MR have learnt from images without skull and scalp.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from napari_ciml.cases.case import Case
from napari_ciml.cases.components import component_sizes, select_components
from napari_ciml.cases.geometry import Grid, bounding_box_grid, resample
from napari_ciml.cases.intensity import background_value, foreground
from napari_ciml.errors import InputError
from napari_ciml.progress import ProgressMonitor

_BRAIN_MR = {"FLAIR", "T1", "T1CE", "T2"}

_LARGEST_ML = 2400.0
"""No brain with its fluid is larger; a head in the field of view of a brain scan is."""

_WORKING_MM = 2.0
_DEEP_MM = 35.0
"""Deeper under the scalp there is little but brain."""

_TISSUE = 0.5
"""Share of the way from air to the brain's median that is tissue: bone and air are below it."""

_NECKS_MM = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
"""Bridges from the brain to what lies outside (nerves, vessels) of up to twice these are cut."""

_SCALP_MM, _LEAK = 5.0, 0.005
"""A mask with more than this share so near to the surface of the head has run out of the skull."""

_CLOSED_MM = 8.0
_OPENINGS_MM = 16.0
"""Radii of what is closed: in the brain sulci, in the head eyes and nose."""

_LEAST_ML = 300.0


def modalities_with_skull(case: Case) -> tuple[str, ...]:
    """Return the modalities of a brain MR case that show the skull and have no brain mask."""
    if case.brain is not None or not case.images.keys() <= _BRAIN_MR:
        return ()
    return tuple(name for name, image in case.images.items() if shows_skull(image, case.grid.scale))


def shows_skull(image: np.ndarray, spacing: tuple[float, float, float]) -> bool:
    """Whether an image shows more than a brain.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X), finite.
    spacing : tuple of float
        Voxel size, (Z, Y, X) in mm.
    """
    if background_value(image) is None:
        return True
    voxel_ml = float(np.prod(spacing)) / 1000
    return bool(np.count_nonzero(foreground(image)) * voxel_ml > _LARGEST_ML)


def brain_mask(image: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Find the brain in an MR image of a head.

    What is brighter than bone is eroded until brain and scalp come apart; the largest part is
    grown back, closed and filled. Of a stripped image it is the foreground.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X), finite; any contrast in which bone is dark.
    spacing : tuple of float
        Voxel size, (Z, Y, X) in mm.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) bool.

    Raises
    ------
    InputError
        If nothing comes apart from the scalp.
    """
    if not shows_skull(image, spacing):
        return foreground(image)
    small, grid, whole = _coarse(image, spacing)
    # Looked for at full resolution: smoothing leaves no background of one value.
    head = resample(foreground(image).astype(np.float32), whole, grid) > 0.5
    found = _inside_skull(small, head, grid)
    return resample(found.astype(np.float32), grid, whole) > 0.5


BrainFinder = Callable[[np.ndarray, tuple[float, float, float]], np.ndarray]
"""What `brain_mask` is: from an image and its voxel size to a mask."""


def skull_strip(case: Case, monitor: ProgressMonitor, find: BrainFinder = brain_mask) -> Case:
    """Return a case with a brain mask, if its modalities show more than the brain.

    Each modality's mask has a vote; a voxel is brain if more than half say so.

    Parameters
    ----------
    case : Case
        With whole heads, or not.
    monitor : Monitor
        Told at each modality.
    find : callable
        What finds the brain in one of them.

    Raises
    ------
    InputError
        If the brain is found in none.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    heads = modalities_with_skull(case)
    if not heads:
        return case
    votes, count, failed = np.zeros(case.grid.shape, np.uint8), 0, None
    for done, name in enumerate(heads):
        monitor.step(f"Finding the brain in {name}", done, len(heads))
        try:
            votes += find(case.images[name], case.grid.scale)
            count += 1
        except InputError as error:
            failed = error
    if failed is not None and not count:
        raise failed
    return with_brain_mask(case, 2 * votes > count)


def with_brain_mask(case: Case, mask: np.ndarray | None) -> Case:
    """Return a case with a brain mask, (Z, Y, X) bool, or with none; a notice says so."""
    notices = tuple(said for said in case.notices if said != brain_notice(case))
    changed = replace(case, brain=mask, notices=notices)
    return replace(changed, notices=(*notices, *filter(None, [brain_notice(changed)])))


def brain_notice(case: Case) -> str:
    """Say that a brain mask is in use; empty if there is none."""
    if case.brain is None:
        return ""
    ml = np.count_nonzero(case.brain) * case.grid.voxel_ml
    return (
        f"Skull and scalp are left out by a brain mask ({ml:.0f} mL); look at its border before "
        "you trust what lies there."
    )


def skull_notice(heads: tuple[str, ...]) -> str:
    """Say that modalities show the skull, and what that means."""
    verb = "shows" if len(heads) == 1 else "show"
    return (
        f"{', '.join(heads)} {verb} skull and scalp; checkpoints for brain MR know images without "
        "them, and results will be wrong until they are removed"
    )


def _coarse(
    image: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[np.ndarray, Grid, Grid]:
    """Return the image at voxels of at least two millimetres, its grid and its old grid."""
    depth, height, width = image.shape
    z, y, x = spacing
    whole = Grid((width, height, depth), (x, y, z), (0.0, 0.0, 0.0))
    wanted = (max(z, _WORKING_MM), max(y, _WORKING_MM), max(x, _WORKING_MM))
    everything = np.ones((1, 1, 1), bool)
    grid = bounding_box_grid(np.broadcast_to(everything, image.shape), whole, wanted)
    edge = background_value(image)
    fill = float(image.min()) if edge is None else edge
    return resample(image, whole, grid, fill=fill), grid, whole


def _inside_skull(image: np.ndarray, head: np.ndarray, grid: Grid) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    head = _closed(head, grid, _OPENINGS_MM)
    # Beyond the border of the field of view the head goes on: that is no surface.
    depth = distance_transform_edt(np.pad(head, 1, "edge"), grid.scale)[1:-1, 1:-1, 1:-1]
    deep = depth > min(_DEEP_MM, 0.6 * float(depth.max()))
    air = float(np.median(image[~head])) if not head.all() else float(image.min())
    tissue = head & (image > air + _TISSUE * (float(np.median(image[deep])) - air))
    room = distance_transform_edt(tissue, grid.scale)
    for radius in _NECKS_MM:
        core = _largest(room > radius)
        if np.count_nonzero(core) * grid.voxel_ml < _LEAST_ML / 2:
            break
        grown = tissue & (distance_transform_edt(~core, grid.scale) <= radius + grid.scale[2])
        near = np.count_nonzero(grown & (depth < _SCALP_MM))
        if near <= _LEAK * np.count_nonzero(grown):
            found = _closed(grown, grid, _CLOSED_MM) & head
            if np.count_nonzero(found) * grid.voxel_ml >= _LEAST_ML:
                return found
    raise InputError(
        "The brain could not be told from the skull and scalp; remove them with another program "
        "and open the images it makes."
    )


def _largest(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    parts, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = component_sizes(parts, count)
    sizes[0] = 0
    return select_components(parts, sizes == sizes.max())


def _closed(mask: np.ndarray, grid: Grid, radius: float) -> np.ndarray:
    """Close gaps and fill what is enclosed."""
    from scipy import ndimage

    margin = 2 + int(radius / min(grid.spacing))
    padded = np.pad(mask, margin)
    grown = ndimage.distance_transform_edt(~padded, grid.scale) <= radius
    shrunk = ndimage.distance_transform_edt(grown, grid.scale) > radius
    inner = (slice(margin, -margin),) * 3
    return np.asarray(ndimage.binary_fill_holes(padded | shrunk)[inner])
