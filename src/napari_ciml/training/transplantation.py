"""Augmentation with lesions of other cases, as in CarveMix (Zhang et al., 2021).

A lesion is cut out of its donor with a margin, deformed, and inserted at the corresponding or the
mirrored position of the recipient's brain. Its intensities are matched by means of healthy tissue.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from napari_ciml.training.cohort import TrainingCase

Shape = tuple[int, int, int]

_JITTER = 0.04
"""Standard deviation of the shift of a lesion, as a fraction of the extent of the brain."""

_TILT_DEGREES = 12.0
_SCALE = 0.12
_MARGIN_VOXELS = 3.0
"""Standard deviations of rotation angles and log scale; maximum margin around the lesion."""

_EDGE_VOXELS = 1.0
"""Width of the transition between the two images."""

_MIN_HEALTHY_VOXELS = 500
"""Number of healthy voxels below which intensities are not matched."""


@dataclass(frozen=True)
class Patch:
    """Images and regions of a patch of a case.

    Parameters
    ----------
    images : numpy.ndarray
        Normalised modalities, (M, Z, Y, X) float32; exactly 0 outside the brain.
    regions : numpy.ndarray
        Masks, (R, Z, Y, X) bool.
    """

    images: np.ndarray
    regions: np.ndarray


def transplant(
    donor: TrainingCase, recipient: TrainingCase, shape: Shape, rng: np.random.Generator
) -> Patch:
    """Return a patch of the recipient with a lesion of the donor inserted.

    Parameters
    ----------
    donor : TrainingCase
        Case with at least one voxel in a region.
    recipient : TrainingCase
        Case of the same modalities and regions; its own lesion is kept where not covered.
    shape : tuple of int
        Shape of the patch, (Z, Y, X) in voxels.
    rng : numpy.random.Generator
        Source of randomness.
    """
    centre = _lesion_voxel(donor, rng)
    mirrored = bool(rng.random() < 0.5)
    target = _corresponding_voxel(centre, donor, recipient, mirrored, rng)
    starts = _starts(target, shape, recipient.regions.shape[1:])
    host = _cut(recipient, starts, shape)
    lesion = _deformed_patch(donor, centre, target - starts, shape, mirrored, rng)
    matched = _match_healthy_tissue(lesion.images, donor, recipient)
    return _blend(Patch(matched, lesion.regions), host, rng.uniform(0.5, _MARGIN_VOXELS))


def healthy_statistics(case: TrainingCase) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of every modality in the brain outside of lesions.

    Every second voxel along each axis is used. A modality with too few such voxels has mean 0 and
    standard deviation 1.

    Returns
    -------
    tuple of numpy.ndarray
        Two arrays, each (M,) float32.
    """
    images = np.asarray(case.images[:, ::2, ::2, ::2], np.float32)
    lesion = np.asarray(case.regions[:, ::2, ::2, ::2]).any(axis=0)
    statistics = []
    for image in images:
        values = image[(image != 0) & ~lesion]
        enough = len(values) >= _MIN_HEALTHY_VOXELS
        statistics.append((values.mean(), max(float(values.std()), 1e-3)) if enough else (0.0, 1.0))
    means, deviations = np.array(statistics, np.float32).T
    return means, deviations


def _lesion_voxel(case: TrainingCase, rng: np.random.Generator) -> np.ndarray:
    present = [voxels for voxels in case.foreground_voxels if len(voxels)]
    voxels = present[rng.integers(len(present))]
    return np.asarray(voxels[rng.integers(len(voxels))], float)


def _corresponding_voxel(
    centre: np.ndarray,
    donor: TrainingCase,
    recipient: TrainingCase,
    mirrored: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the corresponding voxel in another brain; volumes are cropped to the brain."""
    place = centre / np.array(donor.regions.shape[1:])
    if mirrored:
        place[2] = 1 - place[2]
    place = np.clip(place + rng.normal(0, _JITTER, 3), 0, 1)
    return np.asarray(place * np.array(recipient.regions.shape[1:]))


def _deformed_patch(
    case: TrainingCase,
    centre: np.ndarray,
    place: np.ndarray,
    shape: Shape,
    mirrored: bool,
    rng: np.random.Generator,
) -> Patch:
    """Return a rotated, scaled, possibly mirrored patch with ``centre`` at ``place``."""
    rotation = Rotation.from_euler("xyz", rng.normal(0, _TILT_DEGREES, 3), degrees=True).as_matrix()
    matrix = rotation @ np.diag(np.exp(rng.normal(0, _SCALE, 3)))
    if mirrored:
        matrix[:, 2] *= -1
    offset = centre - matrix @ place
    box = _source_box(matrix, offset, shape, case.regions.shape[1:])
    offset -= [edge.start for edge in box]

    source = np.asarray(case.images[:, *box], np.float32)
    masks = np.asarray(case.regions[:, *box], np.float32)

    def sampled(volume: np.ndarray, order: int) -> np.ndarray:
        return np.asarray(
            ndimage.affine_transform(volume, matrix, offset, shape, order=order, mode="constant")
        )

    brain = sampled((source != 0).any(axis=0).astype(np.float32), 0) > 0.5
    images = np.stack([sampled(image, 1) for image in source]) * brain
    return Patch(images, np.stack([sampled(mask, 1) > 0.5 for mask in masks]))


def _source_box(
    matrix: np.ndarray, offset: np.ndarray, shape: Shape, whole: Shape
) -> tuple[slice, ...]:
    """Return the box of a volume from which a transformed patch is sampled."""
    corners = np.array(list(product(*((0, edge - 1) for edge in shape)))) @ matrix.T + offset
    starts = np.clip(np.floor(corners.min(axis=0)), 0, np.array(whole) - 1).astype(int)
    stops = np.clip(np.ceil(corners.max(axis=0)) + 1, starts + 1, whole).astype(int)
    return tuple(slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True))


def _starts(centre: np.ndarray, shape: Shape, whole: Shape) -> np.ndarray:
    """Return the first voxel of a patch around ``centre``, shifted into the volume.

    Along axes where the patch is larger than the volume, the volume is centred in it.
    """
    spare = np.array(whole) - shape
    starts = np.clip(np.rint(centre - np.array(shape) / 2), 0, np.maximum(spare, 0))
    return np.where(spare < 0, spare // 2, starts).astype(int)


def _cut(case: TrainingCase, starts: np.ndarray, shape: Shape) -> Patch:
    """Cut out a patch, padded by 0."""
    images = np.zeros((len(case.images), *shape), np.float32)
    regions = np.zeros((len(case.regions), *shape), bool)
    source, target = [slice(None)], [slice(None)]
    for start, size, edge in zip(starts, shape, case.regions.shape[1:], strict=True):
        first, last = max(int(start), 0), min(int(start) + size, edge)
        source.append(slice(first, last))
        target.append(slice(first - int(start), last - int(start)))
    images[tuple(target)] = case.images[tuple(source)]
    regions[tuple(target)] = case.regions[tuple(source)]
    return Patch(images, regions)


def _match_healthy_tissue(
    images: np.ndarray, donor: TrainingCase, recipient: TrainingCase
) -> np.ndarray:
    """Scale and shift intensities so that the healthy tissue of both cases has equal statistics."""
    (mean, std), (target_mean, target_std) = (
        healthy_statistics(donor),
        healthy_statistics(recipient),
    )
    scale = (target_std / std)[:, None, None, None]
    matched = (images - mean[:, None, None, None]) * scale + target_mean[:, None, None, None]
    return np.asarray(np.where(images != 0, matched, 0), np.float32)


def _blend(lesion: Patch, host: Patch, margin: float) -> Patch:
    """Insert a lesion and its margin into a host, within the brain of both."""
    brain = lesion.images.any(axis=0) & host.images.any(axis=0)
    distance = ndimage.distance_transform_edt(~lesion.regions.any(axis=0))
    weight = np.clip((margin - distance) / _EDGE_VOXELS + 0.5, 0, 1).astype(np.float32)
    weight *= brain
    images = weight * lesion.images + (1 - weight) * host.images
    regions = np.where(weight > 0.5, lesion.regions, host.regions)
    # A modality stays 0 where the host has no data.
    return Patch(np.where(host.images != 0, images, 0), regions)
