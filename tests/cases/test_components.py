import numpy as np
from scipy import ndimage

from napari_ciml.cases.components import component_sizes, select_components


def test_sizes_and_masks_of_parts_are_those_of_the_whole_in_one_go() -> None:
    rng = np.random.default_rng(0)
    parts, count = ndimage.label(rng.random((70, 20, 20)) > 0.7)
    sizes = component_sizes(parts, count)
    np.testing.assert_array_equal(sizes, np.bincount(parts.ravel()))
    wanted = sizes >= 5
    np.testing.assert_array_equal(select_components(parts, wanted), wanted[parts] & (parts > 0))
