import math
from pathlib import Path

import numpy as np
import pytest

from napari_ciml.cases.geometry import Grid
from napari_ciml.cases.labels import LABEL_CONVENTIONS
from napari_ciml.cases.writing import write_volume
from napari_ciml.errors import InputError
from napari_ciml.metrics import (
    compare,
    dice,
    difference,
    evaluate,
    hd95,
    slice_of_largest_difference,
    surface_distance,
)
from napari_ciml.progress import ProgressMonitor

GRID = Grid((20, 20, 20), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))


def cube(first: int, last: int) -> np.ndarray:
    mask = np.zeros((20, 20, 20), bool)
    mask[5:10, 5:10, first:last] = True
    return mask


def test_dice_by_hand() -> None:
    assert dice(cube(5, 10), cube(5, 10)) == 1
    assert dice(cube(5, 10), cube(7, 12)) == pytest.approx(2 * 3 / 10)
    assert dice(cube(5, 5), cube(5, 5)) == 1
    assert dice(cube(5, 10), cube(5, 5)) == 0


def test_hd95_by_hand() -> None:
    """Two cubes shifted along x by 3 voxels: the far faces lie 3 voxels apart."""
    assert hd95(cube(5, 10), cube(8, 13), (1.0, 1.0, 1.0)) == pytest.approx(3)
    assert hd95(cube(5, 10), cube(8, 13), (1.0, 1.0, 2.5)) == pytest.approx(7.5)
    assert hd95(cube(5, 10), cube(5, 10), (1.0, 1.0, 1.0)) == 0
    assert hd95(cube(5, 5), cube(5, 5), (1.0, 1.0, 1.0)) == 0
    assert math.isnan(hd95(cube(5, 10), cube(5, 5), (1.0, 1.0, 1.0)))


def test_surface_distance_by_hand() -> None:
    """A square plate against one a voxel thick beside it: every voxel is 2 slices of 1.5 mm off."""
    a, b = np.zeros((2, 12, 12, 12), bool)
    a[3, 2:8, 2:8] = b[5, 2:8, 2:8] = True
    assert surface_distance(a, b, (1.5, 1.0, 1.0)) == pytest.approx(3)
    assert hd95(a, b, (1.5, 1.0, 1.0)) == pytest.approx(3)
    assert surface_distance(a, a, (1.5, 1.0, 1.0)) == 0
    assert surface_distance(a & False, b & False, (1.5, 1.0, 1.0)) == 0
    assert math.isnan(surface_distance(a, b & False, (1.5, 1.0, 1.0)))


def test_distances_are_those_of_the_library() -> None:
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    rng = np.random.default_rng(3)
    a, b = rng.random((2, 9, 11, 13)) > 0.6
    spacing = (2.5, 1.0, 0.7)
    tensors = [torch.from_numpy(mask)[None, None] for mask in (a, b)]
    named = {"include_background": True, "spacing": spacing}
    far = float(compute_hausdorff_distance(*tensors, percentile=95, **named))
    mean = float(compute_average_surface_distance(*tensors, symmetric=True, **named))
    assert hd95(a, b, spacing) == pytest.approx(far)
    assert surface_distance(a, b, spacing) == pytest.approx(mean)


def test_compare_and_difference() -> None:
    a, b = {"WT": cube(5, 10), "ET": cube(5, 6)}, {"WT": cube(7, 12), "TC": cube(5, 6)}
    (score,) = compare(a, b, GRID)
    assert score.region == "WT"
    assert score.dice == pytest.approx(0.6)
    assert score.volume_prediction_ml == pytest.approx(125 * 2 / 1000)
    found = difference(a["WT"], b["WT"])
    assert [int(np.count_nonzero(found == value)) for value in range(4)] == [7825, 75, 50, 50]
    assert found[5, 5, 5] == 3  # only in the first: added
    assert found[5, 5, 11] == 2  # only in the second: missed
    assert found[5, 5, 8] == 1


def test_evaluate_files(tmp_path: Path) -> None:
    truth = np.zeros(GRID.shape, np.uint8)
    truth[5:15, 5:15, 5:15], truth[8:12, 8:12, 8:12] = 2, 4
    guess = truth.copy()
    guess[5:15, 5:15, 5] = 0
    write_volume(tmp_path / "a.nii.gz", guess, GRID)
    write_volume(tmp_path / "b.nii.gz", truth, GRID)
    scores = evaluate(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", LABEL_CONVENTIONS["brats2020"])
    found = {score.region: score for score in scores}
    assert found["ET"].dice == 1
    assert found["WT"].dice == pytest.approx(2 * 900 / 1900)
    assert found["WT"].volume_reference_ml == pytest.approx(2.0)
    assert found["WT"].volume_prediction_ml == pytest.approx(1.8)


def test_evaluate_on_two_grids_and_on_none(tmp_path: Path) -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[5:15, 5:15, 5:15] = 2
    write_volume(tmp_path / "a.nii.gz", labels, GRID)
    fine = Grid((40, 40, 40), (0.5, 0.5, 1.0), (-0.25, -0.25, -0.5))
    write_volume(tmp_path / "b.nii.gz", labels.repeat(2, 0).repeat(2, 1).repeat(2, 2), fine)
    heard: list[str] = []
    score = evaluate(
        tmp_path / "a.nii.gz",
        tmp_path / "b.nii.gz",
        LABEL_CONVENTIONS["brats2020"],
        ProgressMonitor(notify=heard.append),
    )
    assert score[0].dice == 1
    assert len(heard) == 1
    assert "to the grid of the reference (40 x 40 x 40, 0.5 x 0.5 x 1 mm)" in heard[0]
    write_volume(tmp_path / "c.nii.gz", labels, Grid(GRID.size, GRID.spacing, (900.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="do not overlap"):
        evaluate(tmp_path / "a.nii.gz", tmp_path / "c.nii.gz", LABEL_CONVENTIONS["brats2020"])


def test_a_label_that_no_region_knows_is_not_passed_over(tmp_path: Path) -> None:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[5:15, 5:15, 5:15] = 3
    write_volume(tmp_path / "a.nii.gz", labels, GRID)
    files = (tmp_path / "a.nii.gz", tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match=r"label 3 \(brats2021 or brats2013 do\)"):
        evaluate(*files, LABEL_CONVENTIONS["brats2020"])
    assert evaluate(*files, LABEL_CONVENTIONS["brats2013"])[0].dice == 1


def test_where_masks_differ_most() -> None:
    a, b = np.zeros((2, 6, 7, 8), bool)
    a[1, 2:5, 3:6] = True  # nine voxels differ in slice 1
    a[4, 0, 0] = b[2] = a[2] = True  # one in slice 4, and much that is agreed in slice 2
    values = difference(a, b)
    assert slice_of_largest_difference(values) == (1, 3, 4)
    assert slice_of_largest_difference(values, axis=2) in {(1, 3, x) for x in (3, 4, 5)}
    assert slice_of_largest_difference(difference(b, b)) is None
