import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from napari_ciml.inference.tiles import blending_window, make_tiling


@pytest.mark.parametrize("shape", [(70, 85, 69), (16, 16, 16), (33, 100, 64), (5, 200, 40)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_tiles_cover_everything_with_the_overlap_asked_for(
    shape: tuple[int, int, int], overlap: float
) -> None:
    tiling = make_tiling(shape, (64, 64, 64), overlap)
    assert all(edge % 16 == 0 and edge <= 64 for edge in tiling.tile)
    seen = np.zeros(tiling.shape, int)
    for where in tiling.slices():
        assert seen[where].shape == tiling.tile
        seen[where] += 1
    assert seen.min() >= 1
    for axis in range(3):
        starts = sorted({start[axis] for start in tiling.starts})
        steps = np.diff(starts)
        assert not len(steps) or steps.max() <= max(1, tiling.tile[axis] * (1 - overlap))


def test_blending_gives_back_what_every_tile_agrees_on() -> None:
    rng = np.random.default_rng(0)
    volume = rng.random((40, 72, 50))
    tiling = make_tiling(volume.shape, (32, 32, 32), 0.5)
    window = blending_window(tiling.tile)
    padded = np.zeros(tiling.shape)
    padded[tuple(slice(n) for n in volume.shape)] = volume
    total, weight = np.zeros(tiling.shape), np.zeros(tiling.shape)
    for where in tiling.slices():
        total[where] += window * padded[where]
        weight[where] += window
    np.testing.assert_allclose(total / weight, padded, atol=1e-6)


def test_agrees_with_monai_where_the_tiles_are_the_same() -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 1, 5, padding=2)
    volume = torch.randn(1, 1, 64, 64, 96)
    with torch.no_grad():
        expected = sliding_window_inference(
            volume, (64, 64, 64), 1, network, overlap=0.5, mode="gaussian"
        )[0, 0].numpy()
        tiling = make_tiling((64, 64, 96), (64, 64, 64), 0.5)
        window = blending_window(tiling.tile)
        total, weight = np.zeros(tiling.shape), np.zeros(tiling.shape)
        for where in tiling.slices():
            total[where] += window * network(volume[0, 0][where][None, None])[0, 0].numpy()
            weight[where] += window
    assert tiling.starts == ((0, 0, 0), (0, 0, 32))
    np.testing.assert_allclose(total / weight, expected, atol=2e-2)
