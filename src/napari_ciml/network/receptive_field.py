"""How far a voxel's answer looks: the receptive field, from the bricks of Table 1."""

from napari_ciml.network.settings import LEVELS, STRIDE, NetworkSettings


def receptive_field_radius(settings: NetworkSettings) -> int:
    """Return how many voxels away, along an axis, an image can change a logit.

    Convolutions and batch norms alone: instance norm takes its statistics from the whole tile.
    A 3x3x3 convolution on a grid of every s-th voxel looks s voxels further, strided or not; a
    transposed one, from s to s/2, half of that.
    """
    encoder = sum(2 * 2**level for level in range(LEVELS))
    looks_around = settings.attention or not settings.variational
    gate = STRIDE if settings.message and looks_around else 0
    ups = sum(2 * 2**level for level in range(LEVELS))  # each a transposed and a plain one
    output = 1
    return encoder + gate + ups + output
