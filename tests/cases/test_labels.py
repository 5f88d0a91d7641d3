import numpy as np
import pytest

from napari_ciml.cases.labels import (
    LABEL_CONVENTIONS,
    erase_region,
    label_map,
    matching_conventions,
    nest_regions,
    paint_region,
    region_masks,
    region_of_paint_label,
    with_label_convention,
)
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import InputError


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


def test_regions_are_nested() -> None:
    regions = PRESETS["brats2020"].regions
    masks = {
        "ET": np.array([True, True, True, False]),
        "WT": np.array([True, True, False, False]),
        "TC": np.array([True, False, True, True]),
    }
    inside = nest_regions(masks, regions)
    assert list(inside) == ["ET", "WT", "TC"]
    assert inside["WT"].tolist() == [True, True, False, False]
    # What enhances is core, and nothing is outside of the whole tumour.
    assert inside["TC"].tolist() == [True, True, False, False]
    assert inside["ET"].tolist() == [True, True, False, False]
    assert label_map(inside, regions).tolist() == [4, 4, 0, 0]


def test_a_region_that_was_not_segmented_restricts_nothing() -> None:
    regions = PRESETS["brats2020"].regions
    enhancing, core = np.array([True, True, False]), np.array([False, True, True])
    alone = nest_regions({"ET": enhancing}, regions)
    assert alone["ET"].tolist() == enhancing.tolist()
    # Without WT the core is the outermost region.
    both = nest_regions({"TC": core, "ET": enhancing}, regions)
    assert both["TC"].tolist() == core.tolist()
    assert both["ET"].tolist() == [False, True, False]
    twins = (regions[0], regions[0].model_copy(update={"name": "twin"}))
    same = nest_regions({"WT": core, "twin": enhancing}, twins)
    assert same["twin"].tolist() == enhancing.tolist()


def test_conventions_that_explain_values() -> None:
    assert matching_conventions({0, 1, 2, 4}) == ("brats2020", "brats2013")
    assert matching_conventions({0, 1, 2, 3}) == ("brats2021", "brats2013")
    assert matching_conventions({1, 2, 3, 4}) == ("brats2013",)
    assert matching_conventions({7}) == ()


def test_regions_of_other_label_values() -> None:
    whole = with_label_convention(PRESETS["flair-t1ce"], LABEL_CONVENTIONS["brats2013"])
    assert [region.labels for region in whole.regions] == [(1, 3, 2, 4), (1, 3, 4), (4,)]
    labels = np.array([0, 1, 2, 3, 4])
    assert region_masks(labels, whole.regions)["TC"].tolist() == [False, True, False, True, True]
    assert whole.subtasks == PRESETS["flair-t1ce"].subtasks
    with pytest.raises(InputError, match=r"values of lesion are unknown \(known are WT, TC, ET\)"):
        with_label_convention(PRESETS["autopet"], LABEL_CONVENTIONS["brats2013"])


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
    assert paint_region(chosen, labels, regions).tolist() == added
    assert erase_region(chosen, labels, regions).tolist() == taken
    assert paint_region(chosen, labels, regions).dtype == np.uint8


def test_which_region_a_value_paints() -> None:
    regions = LABEL_CONVENTIONS["brats2013"]
    found = [region_of_paint_label(value, regions) for value in range(5)]
    assert [region.name if region else None for region in found] == [None, "TC", "WT", None, "ET"]
