from types import SimpleNamespace

import numpy as np

from napari_ciml.cases.geometry import Grid, bounding_box_grid
from napari_ciml.cases.preprocessing import voxels_to_model_space


def test_a_single_voxel_is_not_lost_on_a_coarser_grid() -> None:
    """Twice the voxel size and axes that point elsewhere: each voxel lies in one of the model's."""
    flip = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
    grid = Grid((20, 22, 24), (1.0, 1.0, 2.0), (30.0, -10.0, 5.0), flip)
    case = SimpleNamespace(grid=grid)
    body = np.zeros(grid.shape, bool)
    body[6:20, 6:18, 6:16] = True
    coarse = bounding_box_grid(body, grid, (4.0, 2.0, 2.0))
    for voxel in [(8, 9, 10), (9, 9, 10), (19, 17, 15)]:
        mask = np.zeros(grid.shape, bool)
        mask[voxel] = True
        found = np.argwhere(voxels_to_model_space(mask, coarse, case))
        assert len(found) == 1
        z, y, x = found[0].tolist()
        apart = np.abs(coarse.world((x, y, z)) - grid.world(voxel[::-1]))
        assert np.all(np.abs(np.reshape(flip, (3, 3)).T @ apart) <= [0.5, 0.5, 1.0])
    whole = voxels_to_model_space(body, coarse, case)
    assert whole.sum() * 8 == body.sum()
    assert not voxels_to_model_space(np.zeros(grid.shape, bool), coarse, case).any()


def test_voxels_outside_of_the_crop_are_nowhere() -> None:
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    mask = np.ones(grid.shape, bool)
    part = Grid((2, 2, 2), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0))
    assert voxels_to_model_space(mask, part, SimpleNamespace(grid=grid)).all()
    away = Grid((2, 2, 2), (1.0, 1.0, 1.0), (9.0, 9.0, 9.0))
    assert not voxels_to_model_space(mask, away, SimpleNamespace(grid=grid)).any()
