import pytest

from napari_ciml.decomposition import Decomposition, Message, Pair, Region, Subtask
from napari_ciml.errors import DecompositionError
from napari_ciml.presets import DEFAULT, PRESETS

BRATS = PRESETS["brats2020"]


def changed(**changes: object) -> Decomposition:
    return BRATS.model_copy(update=changes)


def messages(decomposition: Decomposition) -> str:
    return " ".join(problem.message for problem in decomposition.problems())


# Table 6, row by row: FLAIR, T1, T2, T1CE.
TABLE_6 = {
    "table6-1": ("TC", "TC ET", "WT", "TC"),
    "table6-2": ("WT", "WT", "TC", "TC ET"),
    "table6-3": ("WT", "WT TC", "TC", "ET"),
    "table6-4": ("WT", "WT TC", "WT TC", "TC ET"),
    "table6-5": ("WT", "TC", "WT TC", "TC ET"),
}


@pytest.mark.parametrize("name", TABLE_6)
def test_presets_are_table_6(name: str) -> None:
    rows = dict(zip(("FLAIR", "T1", "T2", "T1CE"), TABLE_6[name], strict=True))
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


@pytest.mark.parametrize("name", ["autopet", "hecktor2022"])
def test_pet_ct_has_two_segmentors_for_one_region(name: str) -> None:
    preset = PRESETS[name]
    assert [task.name for task in preset.subtasks] == ["PET", "CT"]
    assert len({region for task in preset.subtasks for region in task.regions}) == 1


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_right_and_survive_yaml(name: str) -> None:
    preset = PRESETS[name]
    assert preset.problems() == ()
    assert Decomposition.from_yaml(preset.to_yaml()) == preset


def test_region_nobody_predicts() -> None:
    without = tuple(task for task in BRATS.subtasks if task.name != "T1CE")
    found = changed(subtasks=without).problems()
    assert [(p.where, "nobody predicts region ET" in p.message) for p in found] == [("ET", True)]


def test_own_auxiliary() -> None:
    task = Subtask(primary=("FLAIR",), regions=("WT", "TC", "ET"), auxiliaries=("FLAIR",))
    assert "FLAIR cannot be its own auxiliary" in messages(changed(subtasks=(task,)))


def test_unknown_modality_and_region() -> None:
    task = Subtask(primary=("DWI",), regions=("WT", "TC", "ET", "NCR"))
    text = messages(changed(subtasks=(task,)))
    assert "unknown modality DWI; known are FLAIR, T1, T2, T1CE" in text
    assert "unknown region NCR" in text


def test_same_primaries_twice_in_any_order() -> None:
    tasks = (
        Subtask(primary=("PET", "CT"), regions=("lesion",)),
        Subtask(primary=("CT", "PET"), regions=("lesion",)),
    )
    decomposition = PRESETS["autopet"].model_copy(update={"subtasks": tasks})
    assert "primary in two subtasks" in messages(decomposition)


def test_regions_with_the_same_labels() -> None:
    twin = Region(name="TWIN", labels=(4,), colour="#ffffff")
    assert "ET and TWIN have the same label values" in messages(
        changed(regions=(*BRATS.regions, twin))
    )


def test_checked_names_the_first_problem_and_counts_the_rest() -> None:
    with pytest.raises(
        DecompositionError, match=r"there is no subtask|nobody predicts.*and 3 more"
    ):
        changed(subtasks=()).checked()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not readable as YAML"),
        ("name: x", "modalities"),
        (BRATS.to_yaml().replace("colour", "color"), "colour"),
        (BRATS.to_yaml().replace("- 4", "- zero", 1), "labels"),
    ],
)
def test_bad_yaml_is_one_sentence_with_the_place(text: str, said: str) -> None:
    with pytest.raises(DecompositionError, match=said) as caught:
        Decomposition.from_yaml(text, "mine.yaml")
    assert str(caught.value).startswith("mine.yaml")
    assert "\n" not in str(caught.value)
