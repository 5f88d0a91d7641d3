from pathlib import Path

import pytest

from napari_ciml.decomposition.model import Decomposition, Message, Pair, Region, Subtask
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import DecompositionError

BRATS = PRESETS["brats2020"]
LESION = Region(name="lesion", labels=(1,), colour="#ff0000")


def changed(**changes: object) -> Decomposition:
    return BRATS.model_copy(update=changes)


def with_task(**changes: object) -> Decomposition:
    """The default with another first subtask (FLAIR -> WT)."""
    first, *others = BRATS.subtasks
    return changed(subtasks=(first.model_copy(update=changes), *others))


def messages(decomposition: Decomposition) -> str:
    return " ".join(problem.message for problem in decomposition.problems())


def test_region_nobody_predicts() -> None:
    without = tuple(task for task in BRATS.subtasks if task.name != "T1CE")
    found = changed(subtasks=without).problems()
    assert [(p.where, "no subtask predicts region ET" in p.message) for p in found] == [
        ("ET", True)
    ]


@pytest.mark.parametrize(
    ("fault", "where", "said"),
    [
        ({"auxiliaries": ("T1", "FLAIR")}, "FLAIR", "FLAIR cannot be its own auxiliary"),
        ({"auxiliaries": ("T1", "T1")}, "FLAIR", "lists the auxiliary T1 twice"),
        ({"auxiliaries": ("T1", "DWI")}, "FLAIR", "unknown modality DWI; known are FLAIR, T1, T2"),
        ({"regions": ("WT", "NCR")}, "FLAIR", "unknown region NCR; known are WT, TC, ET"),
        ({"regions": ("WT", "WT")}, "FLAIR", "lists the region WT twice"),
        ({"regions": ()}, "FLAIR", "FLAIR is primary but predicts no region"),
        ({"primary": ()}, "", "a subtask has no primary modality"),
        ({"primary": ("T1",)}, "T1", "T1 is primary in two subtasks"),
    ],
)
def test_a_faulty_subtask_is_named(fault: dict[str, object], where: str, said: str) -> None:
    found = with_task(**fault).problems()
    assert any(p.where == where and said in p.message for p in found), found


def test_own_auxiliary_among_several_primaries() -> None:
    task = Subtask(primary=("T1", "T2"), regions=("WT", "TC", "ET"), auxiliaries=("T2",))
    assert messages(changed(subtasks=(task,))) == (
        "T2 cannot be its own auxiliary; switch it off or make it primary only."
    )


def test_same_primaries_twice_in_any_order() -> None:
    tasks = (
        Subtask(primary=("PET", "CT"), regions=("lesion",)),
        Subtask(primary=("CT", "PET"), regions=("lesion",)),
    )
    decomposition = PRESETS["autopet"].model_copy(update={"subtasks": tasks})
    assert "primary in two subtasks" in messages(decomposition)


def test_one_modality_may_be_primary_alone_and_together() -> None:
    tasks = (
        Subtask(primary=("PET", "CT"), regions=("lesion",)),
        Subtask(primary=("CT",), regions=("lesion",), auxiliaries=("PET",)),
    )
    decomposition = PRESETS["autopet"].model_copy(update={"subtasks": tasks}).validated()
    assert [task.name for task in decomposition.subtasks] == ["PET+CT", "CT"]
    assert decomposition.pairs == (Pair("PET+CT", "lesion"), Pair("CT", "lesion"))
    assert decomposition.messages == (Message("CT", "PET"),)


def test_regions_with_the_same_labels_in_any_order() -> None:
    twin = Region(name="TWIN", labels=(4, 1), colour="#ffffff")
    text = messages(changed(regions=(*BRATS.regions, twin)))
    assert "regions TC and TWIN have the same label values" in text


def test_names_listed_twice() -> None:
    assert "region WT is listed twice" in messages(
        changed(regions=(*BRATS.regions, BRATS.regions[0]))
    )
    assert "modality T1 is listed twice" in messages(changed(modalities=(*BRATS.modalities, "T1")))


@pytest.mark.parametrize(
    ("emptied", "said"), [("regions", "there is no region"), ("subtasks", "there is no subtask")]
)
def test_nothing_there(emptied: str, said: str) -> None:
    assert said in messages(changed(**{emptied: ()}))


def test_checked_names_the_first_problem_and_counts_the_rest() -> None:
    assert BRATS.validated() is BRATS
    # Three regions that nobody predicts, and no subtask.
    with pytest.raises(DecompositionError, match=r"no subtask predicts region WT.*\(and 3 more\)$"):
        changed(subtasks=()).validated()


def test_parts_are_found_by_name() -> None:
    assert BRATS.region("TC").labels == (1, 4)
    assert BRATS.subtask("T2").regions == ("WT", "TC")
    for find in (BRATS.region, BRATS.subtask):
        with pytest.raises(KeyError):
            find("PET")


def test_used_modalities_keep_the_order_they_are_shown_in() -> None:
    task = Subtask(primary=("T1CE",), regions=("WT", "TC", "ET"), auxiliaries=("FLAIR",))
    assert changed(subtasks=(task,)).validated().input_modalities == ("FLAIR", "T1CE")


# YAML reads these as a boolean, a number, nothing or a date where they are not quoted.
@pytest.mark.parametrize("name", ["NO", "1", "1e3", "0x1F", "null", "2024-01-01", "T1-post"])
def test_awkward_names_survive_yaml(name: str) -> None:
    made = Decomposition(
        name="Läsion: 'PET' # 1\nzweite Zeile",
        modalities=(name, "PET"),
        regions=(LESION.model_copy(update={"name": name}),),
        subtasks=(Subtask(primary=(name, "PET"), regions=(name,)),),
    ).validated()
    assert Decomposition.from_yaml(made.to_yaml()) == made


@pytest.mark.parametrize("name", ["", "T1 post", "a/b", "a+b", "a:b", "a_b", "-a", "é", "T1\n"])
def test_names_that_would_break_a_file_name_or_a_command_are_refused(name: str) -> None:
    text = BRATS.to_yaml().replace("- T1CE\n", f"- {name!r}\n", 1)
    with pytest.raises(DecompositionError, match=r"modalities\.3"):
        Decomposition.from_yaml(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 20000, "not readable as YAML"),
        ("a: [", r"not readable as YAML \(line 1\)"),
        ("!!python/object/apply:os.getcwd []", "not readable as YAML"),
        ("", "the file: "),
        ("- a\n- b", "the file: "),
        ("name: x", "modalities"),
        (BRATS.to_yaml() + "surprise: 1\n", "surprise"),
        (BRATS.to_yaml().replace("colour", "color"), "colour"),
        (BRATS.to_yaml().replace("- 4", "- zero", 1), r"regions\.0\.labels\.2"),
        (BRATS.to_yaml().replace("- 4", "- 0", 1), r"regions\.0\.labels\.2"),
        (BRATS.to_yaml().replace("#2ca02c", "green"), r"regions\.0\.colour"),
        (BRATS.to_yaml().replace("- ET", "- NCR", 1), "unknown region NCR|no subtask predicts"),
    ],
)
def test_bad_yaml_is_one_sentence_with_the_place(text: str, said: str) -> None:
    with pytest.raises(DecompositionError, match=said) as caught:
        Decomposition.from_yaml(text, "mine.yaml")
    assert "\n" not in str(caught.value)
    # What contradicts itself is called by its own name, anything else by the file's.
    assert str(caught.value).startswith(("mine.yaml", "Decomposition 'brats2020'"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "missing.yaml", binary):
        with pytest.raises(DecompositionError, match="cannot be read") as caught:
            Decomposition.read(path)
        assert str(path) in str(caught.value)


def test_a_file_is_read_and_a_fault_in_it_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(BRATS.to_yaml(), encoding="utf-8")
    assert Decomposition.read(path) == BRATS
    path.write_text("name: x", encoding="utf-8")
    with pytest.raises(DecompositionError, match=r"mine\.yaml: modalities"):
        Decomposition.read(path)
