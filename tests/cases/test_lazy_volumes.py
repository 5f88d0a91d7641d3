import numpy as np

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.lazy_volumes import LazyResampledVolumes


def test_placed_arrays_are_few_and_the_same_each_time() -> None:
    small = Grid((3, 3, 3), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5))
    large = Grid((6, 6, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    held = {str(k): np.full((3, 3, 3), k, np.float32) for k in range(9)}
    placed = LazyResampledVolumes(held, small, large, 1 / 8)
    assert list(placed) == list(held)
    assert placed["4"][2, 3, 3] == 0.5
    assert placed["4"] is placed["4"]
    for values in placed.values():
        assert (values.shape, values.dtype) == ((6, 6, 6), np.float32)
    assert len(placed._cache) < len(placed)


def test_some_voxels_are_those_of_the_whole() -> None:
    turned = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    small = Grid((5, 4, 6), (2.0, 2.5, 3.0), (0.5, 1.0, 2.0), turned)
    large = Grid((9, 8, 14), (1.0, 1.0, 1.0), (-1.0, 1.5, 2.5), turned)
    values = np.random.default_rng(0).random(small.shape).astype(np.float32)
    placed = LazyResampledVolumes({"a": values}, small, large, 0.5)
    where = (np.array([3]), np.array([4, 5]), np.arange(3, 7))
    found = placed.sample_at("a", where)
    assert found.any()
    np.testing.assert_allclose(found, placed["a"][np.ix_(*where)], atol=1e-5)
