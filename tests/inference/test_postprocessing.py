import numpy as np

from napari_ciml.inference.postprocessing import apply_temperature, remove_small_and_fill_holes
from napari_ciml.network.checkpoint_info import PostprocessingSettings


def test_temperature_moves_probabilities_but_no_mask() -> None:
    values = np.array([0.01, 0.3, 0.5, 0.7, 0.99], np.float32)
    softer = apply_temperature({"WT": values, "TC": values}, {"WT": 2.0})
    np.testing.assert_array_equal(softer["TC"], values)
    np.testing.assert_array_equal(softer["WT"] >= 0.5, values >= 0.5)
    logit = np.log(0.7 / 0.3) / 2
    np.testing.assert_allclose(softer["WT"][3], 1 / (1 + np.exp(-logit)), rtol=1e-5)
    sure = apply_temperature({"WT": np.array([0.0, 1.0], np.float32)}, {"WT": 0.5})["WT"]
    assert np.isfinite(sure).all()


def test_specks_go_and_holes_are_filled_where_asked() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[2:10, 2:10, 2:10] = True
    mask[5, 5, 5] = False
    mask[15, 15, 15:17] = True
    mask[10, 10, 10] = True  # joined by a corner
    masks = {"WT": mask, "ET": mask}
    finish = PostprocessingSettings(min_component_ml={"WT": 0.03}, fill_holes=("WT",))
    done = remove_small_and_fill_holes(masks, finish, voxel_ml=0.01)
    assert not done["WT"][15, 15, 15:17].any()
    assert done["WT"][5, 5, 5]
    assert done["WT"][10, 10, 10]
    np.testing.assert_array_equal(done["ET"], mask)
    # At another voxel size the same volume is another number of voxels.
    np.testing.assert_array_equal(
        remove_small_and_fill_holes(
            masks, PostprocessingSettings(min_component_ml={"WT": 0.03}), voxel_ml=0.02
        )["WT"],
        mask,
    )
    empty = remove_small_and_fill_holes({"WT": np.zeros((4, 4, 4), bool)}, finish, 1.0)
    assert not empty["WT"].any()


def test_parts_below_a_share_of_the_largest_go() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[:10, :10, 0] = True  # 100 voxels
    mask[15, :9, 10] = True
    mask[19, :11, 19] = True
    kept = remove_small_and_fill_holes(
        {"WT": mask, "ET": mask}, PostprocessingSettings(min_component_fraction={"WT": 0.1}), 0.01
    )
    assert kept["WT"].sum() == 111
    assert not kept["WT"][15].any()
    np.testing.assert_array_equal(kept["ET"], mask)
    volumes = PostprocessingSettings(
        min_component_ml={"WT": 0.5}, min_component_fraction={"WT": 0.1}
    )
    assert remove_small_and_fill_holes({"WT": mask}, volumes, 0.01)["WT"].sum() == 100
