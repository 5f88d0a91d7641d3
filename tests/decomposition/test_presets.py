import pytest

from napari_ciml.cases.labels import LABEL_CONVENTIONS
from napari_ciml.decomposition.model import Decomposition, Message, Pair
from napari_ciml.decomposition.presets import DEFAULT, PRESETS

BRATS = PRESETS["brats2020"]

# FLAIR, T1, T2, T1CE: Table 6 row by row, section 4.1.1, and the text to Fig. 3 in section 3.1.
ASSIGNMENTS = {
    "table6-1": ("TC", "TC ET", "WT", "TC"),
    "table6-2": ("WT", "WT", "TC", "TC ET"),
    "table6-3": ("WT", "WT TC", "TC", "ET"),
    "table6-4": ("WT", "WT TC", "WT TC", "TC ET"),
    "table6-5": ("WT", "TC", "WT TC", "TC ET"),
    "brats2020": ("WT", "TC", "WT TC", "TC ET"),
    "fig3": ("WT", "TC ET", "WT TC", "TC ET"),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_brats_presets_are_the_papers(name: str) -> None:
    rows = dict(zip(("FLAIR", "T1", "T2", "T1CE"), ASSIGNMENTS[name], strict=True))
    assert [task.name for task in PRESETS[name].subtasks] == list(rows)
    for task in PRESETS[name].subtasks:
        assert " ".join(task.regions) == rows[task.name]
        assert set(task.auxiliaries) == set(rows) - {task.name}


def test_default_is_section_4_1_1_with_six_pairs() -> None:
    assert DEFAULT == "brats2020"
    assert BRATS.pairs == (
        Pair("FLAIR", "WT"),
        Pair("T1", "TC"),
        Pair("T2", "WT"),
        Pair("T2", "TC"),
        Pair("T1CE", "TC"),
        Pair("T1CE", "ET"),
    )
    assert len(BRATS.messages) == 12
    assert Message("T2", "FLAIR") in BRATS.messages


def test_the_design_lists_these_presets() -> None:
    others = {"flair-t1ce", "autopet", "hecktor2022"}
    assert set(PRESETS) == set(ASSIGNMENTS) | others
    assert all(name == preset.name for name, preset in PRESETS.items())


def test_two_modalities() -> None:
    preset = PRESETS["flair-t1ce"]
    assert preset.modalities == ("FLAIR", "T1CE")
    assert preset.pairs == (Pair("FLAIR", "WT"), Pair("T1CE", "TC"), Pair("T1CE", "ET"))
    assert preset.messages == (Message("FLAIR", "T1CE"), Message("T1CE", "FLAIR"))


@pytest.mark.parametrize("name", ["autopet", "hecktor2022"])
def test_pet_ct_has_two_segmentors_for_one_region(name: str) -> None:
    preset = PRESETS[name]
    assert [task.name for task in preset.subtasks] == ["PET", "CT"]
    assert preset.messages == (Message("PET", "CT"), Message("CT", "PET"))
    assert [pair.region for pair in preset.pairs] == 2 * list(preset.region_names)
    assert len(preset.regions) == 1


@pytest.mark.parametrize("name", [*ASSIGNMENTS, "flair-t1ce"])
def test_labels_are_those_of_brats_2020_and_regions_nest(name: str) -> None:
    regions = PRESETS[name].regions
    known = {region.name: set(region.labels) for region in LABEL_CONVENTIONS["brats2020"]}
    assert {region.name: set(region.labels) for region in regions} == known
    outer, middle, inner = (set(region.labels) for region in regions)
    assert inner < middle < outer == {1, 2, 4}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_right_and_survive_yaml(name: str) -> None:
    preset = PRESETS[name]
    assert preset.problems() == ()
    assert Decomposition.from_yaml(preset.to_yaml()) == preset
    assert preset.input_modalities == preset.modalities
    colours = [region.colour for region in preset.regions]
    assert len(set(colours)) == len(colours)
