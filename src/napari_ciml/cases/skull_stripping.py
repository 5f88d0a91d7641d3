"""Skull stripping: detect images with skull, and compute a brain mask by classical methods.

Checkpoints for brain MR are trained on skull-stripped images.
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

_MAX_BRAIN_ML = 2400.0
"""Largest volume of a brain with its fluid; a head in a brain scan is larger."""

_WORKING_MM = 2.0
"""Voxel size at which the brain is found."""

_DEEP_MM = 35.0
"""Depth below the scalp at which nearly all tissue is brain."""

_TISSUE_LEVEL = 0.5
"""Threshold of tissue between air (0) and the median of the brain (1); bone is below it."""

_NECKS_MM = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
"""Radii of erosion: bridges (nerves, vessels) of up to twice these widths are cut."""

_SCALP_MM, _MAX_LEAK = 5.0, 0.005
"""A mask with more than this fraction so close to the surface of the head has left the skull."""

_BRAIN_CLOSING_MM, _HEAD_CLOSING_MM = 8.0, 16.0
"""Radii of morphological closing: of sulci in the brain, of eyes and nose in the head."""

_MIN_BRAIN_ML = 300.0


def modalities_with_skull(case: Case) -> tuple[str, ...]:
    """Return the modalities with skull of a brain MR case that has no brain mask."""
    if case.brain is not None or not case.images.keys() <= _BRAIN_MR:
        return ()
    return tuple(name for name, image in case.images.items() if shows_skull(image, case.grid.scale))


def shows_skull(image: np.ndarray, spacing: tuple[float, float, float]) -> bool:
    """Whether an image shows more than the brain.

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
    return bool(np.count_nonzero(foreground(image)) * voxel_ml > _MAX_BRAIN_ML)


def brain_mask(image: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Compute the brain mask of an MR image of a head.

    Tissue brighter than bone is eroded until brain and scalp separate; the largest component is
    dilated again, closed and filled. For a skull-stripped image it is the foreground.

    Parameters
    ----------
    image : numpy.ndarray
        (Z, Y, X), finite, with any contrast in which bone is dark.
    spacing : tuple of float
        Voxel size, (Z, Y, X) in mm.

    Returns
    -------
    numpy.ndarray
        (Z, Y, X) bool.

    Raises
    ------
    InputError
        If the brain cannot be separated from the scalp.
    """
    if not shows_skull(image, spacing):
        return foreground(image)
    coarse, grid, full_grid = _downsample(image, spacing)
    # The head is found at full resolution, for smoothing leaves no constant background.
    head = resample(foreground(image).astype(np.float32), full_grid, grid) > 0.5
    brain = _find_brain(coarse, head, grid)
    return resample(brain.astype(np.float32), grid, full_grid) > 0.5


BrainFinder = Callable[[np.ndarray, tuple[float, float, float]], np.ndarray]
"""Signature of `brain_mask`: from an image and its voxel size to a mask."""


def skull_strip(case: Case, monitor: ProgressMonitor, find: BrainFinder = brain_mask) -> Case:
    """Return a case with a brain mask if its modalities show the skull.

    The mask is a majority vote over the modalities.

    Parameters
    ----------
    case : Case
        The case.
    monitor : ProgressMonitor
        Notified at each modality.
    find : callable
        Computes the brain mask of one modality.

    Raises
    ------
    InputError
        If the brain is found in no modality.
    CancelledError
        If the monitor's ``stop`` is set.
    """
    heads = modalities_with_skull(case)
    if not heads:
        return case
    votes, count, failure = np.zeros(case.grid.shape, np.uint8), 0, None
    for k, name in enumerate(heads):
        monitor.step(f"Finding the brain in {name}", k, len(heads))
        try:
            votes += find(case.images[name], case.grid.scale)
            count += 1
        except InputError as error:
            failure = error
    if failure is not None and not count:
        raise failure
    return with_brain_mask(case, 2 * votes > count)


def with_brain_mask(case: Case, mask: np.ndarray | None) -> Case:
    """Return a case with a brain mask, (Z, Y, X) bool, or None; its notices say so."""
    notices = tuple(text for text in case.notices if text != brain_notice(case))
    changed = replace(case, brain=mask, notices=notices)
    return replace(changed, notices=(*notices, *filter(None, [brain_notice(changed)])))


def brain_notice(case: Case) -> str:
    """Return the notice that a brain mask is in use; empty if there is none."""
    if case.brain is None:
        return ""
    ml = np.count_nonzero(case.brain) * case.grid.voxel_ml
    return (
        f"Skull and scalp are excluded by a brain mask ({ml:.0f} mL); inspect its border before "
        "you rely on results there."
    )


def skull_notice(heads: tuple[str, ...]) -> str:
    """Return the notice that modalities show the skull, as a clause."""
    verb = "shows" if len(heads) == 1 else "show"
    return (
        f"{', '.join(heads)} {verb} skull and scalp; checkpoints for brain MR are trained without "
        "them, and results will be wrong until they are removed"
    )


def _downsample(
    image: np.ndarray, spacing: tuple[float, float, float]
) -> tuple[np.ndarray, Grid, Grid]:
    """Return the image at voxels of at least `_WORKING_MM`, its grid and its original grid."""
    depth, height, width = image.shape
    z, y, x = spacing
    full_grid = Grid((width, height, depth), (x, y, z), (0.0, 0.0, 0.0))
    target = (max(z, _WORKING_MM), max(y, _WORKING_MM), max(x, _WORKING_MM))
    everything = np.broadcast_to(np.ones((1, 1, 1), bool), image.shape)
    grid = bounding_box_grid(everything, full_grid, target)
    background = background_value(image)
    fill = float(image.min()) if background is None else background
    return resample(image, full_grid, grid, fill=fill), grid, full_grid


def _find_brain(image: np.ndarray, head: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the brain in a downsampled image, given the mask of the head."""
    from scipy.ndimage import distance_transform_edt

    head = _close_and_fill(head, grid, _HEAD_CLOSING_MM)
    # The head continues beyond the field of view, whose border is no surface.
    depth = distance_transform_edt(np.pad(head, 1, "edge"), grid.scale)[1:-1, 1:-1, 1:-1]
    deep = depth > min(_DEEP_MM, 0.6 * float(depth.max()))
    air = float(np.median(image[~head])) if not head.all() else float(image.min())
    tissue = head & (image > air + _TISSUE_LEVEL * (float(np.median(image[deep])) - air))
    thickness = distance_transform_edt(tissue, grid.scale)
    for radius in _NECKS_MM:
        core = _largest_component(thickness > radius)
        if np.count_nonzero(core) * grid.voxel_ml < _MIN_BRAIN_ML / 2:
            break
        brain = tissue & (distance_transform_edt(~core, grid.scale) <= radius + grid.scale[2])
        leak = np.count_nonzero(brain & (depth < _SCALP_MM))
        if leak <= _MAX_LEAK * np.count_nonzero(brain):
            brain = _close_and_fill(brain, grid, _BRAIN_CLOSING_MM) & head
            if np.count_nonzero(brain) * grid.voxel_ml >= _MIN_BRAIN_ML:
                return np.asarray(brain)
    raise InputError(
        "The brain could not be separated from skull and scalp; strip the images with another "
        "program and open its results."
    )


def _largest_component(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    components, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = component_sizes(components, count)
    sizes[0] = 0
    return select_components(components, sizes == sizes.max())


def _close_and_fill(mask: np.ndarray, grid: Grid, radius: float) -> np.ndarray:
    """Close a mask with a ball of a radius in mm, and fill its holes."""
    from scipy import ndimage

    margin = 2 + int(radius / min(grid.spacing))
    padded = np.pad(mask, margin)
    grown = ndimage.distance_transform_edt(~padded, grid.scale) <= radius
    shrunk = ndimage.distance_transform_edt(grown, grid.scale) > radius
    inner = (slice(margin, -margin),) * 3
    return np.asarray(ndimage.binary_fill_holes(padded | shrunk)[inner])
