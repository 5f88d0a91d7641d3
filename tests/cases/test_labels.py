import numpy as np
import pytest

from napari_ciml.cases.labels import (
    LABEL_CONVENTIONS,
    added_to,
    conventions_of,
    label_map,
    labelled_as,
    painted_with,
    region_masks,
    taken_from,
)
from napari_ciml.errors import InputError
from napari_ciml.presets import PRESETS


@pytest.mark.parametrize("name", LABEL_CONVENTIONS)
def test_regions_to_labels_and_back(name: str) -> None:
    regions = LABEL_CONVENTIONS[name]
    rng = np.random.default_rng(0)
    values = [0, *{label for region in regions for label in region.labels}]
    masks = region_masks(rng.choice(values, (6, 7, 8)), regions)
    assert (masks["ET"] <= masks["TC"]).all()
    assert (masks["TC"] <= masks["WT"]).all()
    again = region_masks(label_map(masks, regions), regions)
    for region in regions:
        np.testing.assert_array_equal(again[region.name], masks[region.name])


def test_labels_of_brats_2020() -> None:
    regions = PRESETS["brats2020"].regions
    wt, tc, et = (np.arange(4) < n for n in (3, 2, 1))
    masks = {"WT": wt, "TC": tc, "ET": et}
    assert label_map(masks, regions).tolist() == [4, 1, 2, 0]
    assert label_map(masks, regions[::-1]).tolist() == [4, 1, 2, 0]


def test_inner_regions_win() -> None:
    outside = {"WT": np.array([False]), "TC": np.array([False]), "ET": np.array([True])}
    assert label_map(outside, PRESETS["brats2020"].regions).tolist() == [4]


def test_conventions_that_explain_values() -> None:
    assert conventions_of({0, 1, 2, 4}) == ("brats2020", "brats2013")
    assert conventions_of({0, 1, 2, 3}) == ("brats2021", "brats2013")
    assert conventions_of({1, 2, 3, 4}) == ("brats2013",)
    assert conventions_of({7}) == ()


def test_regions_of_other_label_values() -> None:
    whole = labelled_as(PRESETS["flair-t1ce"], LABEL_CONVENTIONS["brats2013"])
    assert [region.labels for region in whole.regions] == [(1, 3, 2, 4), (1, 3, 4), (4,)]
    labels = np.array([0, 1, 2, 3, 4])
    assert region_masks(labels, whole.regions)["TC"].tolist() == [False, True, False, True, True]
    assert whole.subtasks == PRESETS["flair-t1ce"].subtasks
    with pytest.raises(InputError, match=r"make lesion \(known are WT, TC, ET\)"):
        labelled_as(PRESETS["autopet"], LABEL_CONVENTIONS["brats2013"])


def test_large_labels_need_two_bytes() -> None:
    region = PRESETS["autopet"].regions[0].model_copy(update={"labels": (300,)})
    assert label_map({"lesion": np.array([True])}, (region,)).dtype == np.uint16


@pytest.mark.parametrize(
    ("region", "added", "taken"),
    [
        ("WT", [2, 1, 2, 3, 4], [0, 0, 0, 0, 0]),
        ("TC", [1, 1, 1, 3, 4], [0, 2, 2, 2, 2]),
        ("ET", [4, 4, 4, 4, 4], [0, 1, 2, 3, 1]),
    ],
)
def test_adding_to_a_region_and_taking_out_of_it(
    region: str, added: list[int], taken: list[int]
) -> None:
    """Edema, necrosis, non-enhancing and enhancing core, of which 1, 3 and 4 are the core."""
    regions = LABEL_CONVENTIONS["brats2013"]
    (chosen,) = (r for r in regions if r.name == region)
    labels = np.arange(5, dtype=np.uint8)
    assert added_to(chosen, labels, regions).tolist() == added
    assert taken_from(chosen, labels, regions).tolist() == taken
    assert added_to(chosen, labels, regions).dtype == np.uint8


def test_which_region_a_value_paints() -> None:
    regions = LABEL_CONVENTIONS["brats2013"]
    found = [painted_with(value, regions) for value in range(5)]
    assert [region.name if region else None for region in found] == [None, "TC", "WT", None, "ET"]
