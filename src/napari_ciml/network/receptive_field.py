"""Receptive field of the network of Table 1."""

from napari_ciml.network.settings import LEVELS, STRIDE, NetworkSettings


def receptive_field_radius(settings: NetworkSettings) -> int:
    """Return the largest distance, in voxels along an axis, at which an image affects a logit.

    Counts convolutions and batch norms; instance norm takes its statistics from the whole tile. A
    3x3x3 convolution on a grid of every s-th voxel adds s voxels, strided or not; a transposed one
    from s to s/2 adds s/2.
    """
    steps = [1 << level for level in range(LEVELS)]  # of the grid before each stage, in voxels
    encoder = sum(2 * step for step in steps)
    has_spatial_gate = settings.attention or not settings.variational
    gate = STRIDE if settings.message and has_spatial_gate else 0
    ups = sum(2 * step for step in steps)  # a transposed and a plain one at each level
    output = 1
    return encoder + gate + ups + output
