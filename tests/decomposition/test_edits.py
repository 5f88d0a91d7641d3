from napari_ciml.decomposition.edits import modality_subsets, mute_messages, restrict_to_modalities
from napari_ciml.decomposition.model import Message
from napari_ciml.decomposition.presets import PRESETS

WHOLE = PRESETS["brats2020"]


def test_what_two_modalities_are_enough_for() -> None:
    kept = restrict_to_modalities(WHOLE, ("T1CE", "FLAIR")).validated()
    assert kept.modalities == ("FLAIR", "T1CE")
    assert [task.name for task in kept.subtasks] == ["FLAIR", "T1CE"]
    assert set(kept.messages) == {Message("FLAIR", "T1CE"), Message("T1CE", "FLAIR")}
    assert kept.region_names == ("WT", "TC", "ET")
    assert restrict_to_modalities(WHOLE, ("T1",)).validated().region_names == ("TC",)
    assert restrict_to_modalities(WHOLE, ()).subtasks == ()


def test_messages_are_muted_by_name() -> None:
    quiet = mute_messages(WHOLE, {Message("T2", "T1"), Message("FLAIR", "T2"), Message("CT", "T1")})
    assert set(WHOLE.messages) - set(quiet.messages) == {
        Message("T2", "T1"),
        Message("FLAIR", "T2"),
    }
    assert quiet.pairs == WHOLE.pairs
    assert mute_messages(WHOLE, set()) is WHOLE


def test_every_subset_once() -> None:
    found = [one.modalities for one in modality_subsets(WHOLE)]
    assert len(found) == len(set(found)) == 14
    assert all(one.validated() for one in modality_subsets(WHOLE))
    assert [one.modalities for one in modality_subsets(PRESETS["autopet"])] == [("PET",), ("CT",)]
