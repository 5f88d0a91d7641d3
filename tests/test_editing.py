from napari_ciml.decomposition import Message
from napari_ciml.editing import subsets, with_only, without_messages
from napari_ciml.presets import PRESETS

WHOLE = PRESETS["brats2020"]


def test_what_two_modalities_are_enough_for() -> None:
    kept = with_only(WHOLE, ("T1CE", "FLAIR")).checked()
    assert kept.modalities == ("FLAIR", "T1CE")
    assert [task.name for task in kept.subtasks] == ["FLAIR", "T1CE"]
    assert set(kept.messages) == {Message("FLAIR", "T1CE"), Message("T1CE", "FLAIR")}
    assert kept.region_names == ("WT", "TC", "ET")
    assert with_only(WHOLE, ("T1",)).checked().region_names == ("TC",)
    assert with_only(WHOLE, ()).subtasks == ()


def test_messages_are_muted_by_name() -> None:
    quiet = without_messages(
        WHOLE, {Message("T2", "T1"), Message("FLAIR", "T2"), Message("CT", "T1")}
    )
    assert set(WHOLE.messages) - set(quiet.messages) == {
        Message("T2", "T1"),
        Message("FLAIR", "T2"),
    }
    assert quiet.pairs == WHOLE.pairs
    assert without_messages(WHOLE, set()) is WHOLE


def test_every_subset_once() -> None:
    found = [one.modalities for one in subsets(WHOLE)]
    assert len(found) == len(set(found)) == 14
    assert all(one.checked() for one in subsets(WHOLE))
    assert [one.modalities for one in subsets(PRESETS["autopet"])] == [("PET",), ("CT",)]
