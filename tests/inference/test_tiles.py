import numpy as np
import pytest
import torch
from monai.data.utils import compute_importance_map
from monai.inferers import sliding_window_inference

from napari_ciml.inference.tiles import blending_window, make_tiling, split_into_chunks


@pytest.mark.parametrize("shape", [(70, 85, 69), (16, 16, 16), (33, 100, 64), (5, 200, 40)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_tiles_cover_everything_with_the_overlap_asked_for(
    shape: tuple[int, int, int], overlap: float
) -> None:
    tiling = make_tiling(shape, (64, 64, 64), overlap)
    assert all(edge % 16 == 0 and 32 <= edge <= 64 for edge in tiling.tile)
    # Else the strided convolutions of two tiles look at different voxels.
    assert all(first % 16 == 0 for start in tiling.starts for first in start)
    seen = np.zeros(tiling.shape, int)
    for where in tiling.slices():
        assert seen[where].shape == tiling.tile
        seen[where] += 1
    assert seen.min() >= 1
    for axis in range(3):
        starts = sorted({start[axis] for start in tiling.starts})
        steps = np.diff(starts)
        assert not len(steps) or steps.max() <= max(1, tiling.tile[axis] * (1 - overlap))


@pytest.mark.parametrize(
    ("shape", "largest", "padded", "tile"),
    [
        ((5, 200, 40), (64, 64, 64), (32, 208, 48), (32, 64, 48)),
        ((5, 9, 16), (64, 64, 64), (32, 32, 32), (32, 32, 32)),
        ((64, 64, 64), (64, 64, 64), (64, 64, 64), (64, 64, 64)),
        ((65, 64, 63), (64, 64, 64), (80, 64, 64), (64, 64, 64)),
        ((100, 100, 100), (160, 192, 160), (112, 112, 112), (112, 112, 112)),
    ],
)
def test_a_volume_is_padded_no_more_than_a_tile_needs(
    shape: tuple[int, int, int], largest: tuple[int, int, int], padded: object, tile: object
) -> None:
    tiling = make_tiling(shape, largest, 0.5)
    assert (tiling.shape, tiling.tile) == (padded, tile)
    assert len(set(tiling.starts)) == len(tiling.starts) == len(tiling) == len([*tiling.slices()])


@pytest.mark.parametrize("shape", [(144, 176, 144), (16, 300, 40), (33, 100, 64), (70, 85, 69)])
@pytest.mark.parametrize("most", [10**7, 10**6, 200_000, 1])
@pytest.mark.parametrize("overlap", [16, 32, 64])
def test_pieces_cover_everything_and_share_what_is_asked_for(
    shape: tuple[int, int, int], most: int, overlap: int
) -> None:
    pieces = split_into_chunks(shape, most, overlap)
    assert all(edge % 16 == 0 and edge >= 32 for edge in pieces.tile)
    assert all(first % 16 == 0 for start in pieces.starts for first in start)
    seen = np.zeros(pieces.shape, int)
    for where in pieces.slices():
        assert seen[where].shape == pieces.tile
        seen[where] += 1
    assert seen.min() >= 1
    for axis in range(3):
        steps = np.diff(sorted({start[axis] for start in pieces.starts}))
        assert not len(steps) or pieces.tile[axis] - steps.max() >= overlap
    if np.prod(pieces.tile) > most:  # it cannot be cut any further
        assert all(
            size == whole or size <= max(32, overlap + 16)
            for size, whole in zip(pieces.tile, pieces.shape, strict=True)
        )


def test_as_few_pieces_as_fit() -> None:
    whole = split_into_chunks((144, 176, 144), 144 * 176 * 144, 32)
    assert (whole.tile, whole.starts) == ((144, 176, 144), ((0, 0, 0),))
    half = split_into_chunks((144, 176, 144), 144 * 176 * 144 - 1, 16)
    assert (half.tile, half.starts) == ((144, 96, 144), ((0, 0, 0), (0, 80, 0)))
    # Three along one axis compute less twice than two along two axes.
    third = split_into_chunks((144, 176, 144), 144 * 176 * 144 // 2, 32)
    assert (third.tile, len(third)) == ((144, 80, 144), 3)


@pytest.mark.parametrize("tile", [(64, 64, 64), (32, 48, 16)])
def test_window_is_monais_importance_map(tile: tuple[int, int, int]) -> None:
    window = blending_window(tile)
    assert (window.shape, window.dtype) == (tile, np.float32)
    assert 0 < window.min() <= window.max() <= 1
    np.testing.assert_array_equal(window, np.flip(window))
    expected = compute_importance_map(tile, mode="gaussian", sigma_scale=0.125).numpy()
    np.testing.assert_allclose(window, expected, atol=1e-4)


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
    np.testing.assert_allclose(total / weight, expected, atol=3e-3)
