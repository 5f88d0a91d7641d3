import pytest

from conftest import tiny_info
from napari_ciml.decomposition import Message
from napari_ciml.editing import without_subtask
from napari_ciml.errors import CheckpointError
from napari_ciml.inference.plan import make_plan, untrained
from napari_ciml.presets import PRESETS

INFO = tiny_info(PRESETS["brats2020"])


def test_two_modalities_are_served_by_muting_the_others() -> None:
    plan = make_plan(INFO, PRESETS["flair-t1ce"])
    assert plan.modalities == ("FLAIR", "T1CE")
    assert plan.subtasks == ("FLAIR", "T1CE")
    assert {Message("FLAIR", "T1"), Message("T1CE", "T2")} <= plan.muted
    assert Message("FLAIR", "T1CE") not in plan.muted
    assert plan.auxiliaries("FLAIR") == ("T1CE",)


def test_untrained_parts_are_named_where_they_are() -> None:
    found = untrained(INFO, PRESETS["fig3"])
    assert [(p.where, "ET from T1 is untrained" in p.message) for p in found] == [("T1", True)]
    with pytest.raises(CheckpointError, match="PET as primary is untrained"):
        make_plan(INFO, PRESETS["autopet"])


def test_a_subtask_left_out_of_the_ensemble_still_assists() -> None:
    plan = make_plan(INFO, without_subtask(PRESETS["brats2020"], 1))
    assert plan.subtasks == ("FLAIR", "T2", "T1CE")
    assert "T1" in plan.modalities
    assert "T1" in plan.auxiliaries("FLAIR")


def test_a_modality_muted_everywhere_is_not_needed() -> None:
    whole = without_subtask(PRESETS["brats2020"], 1)
    muted = {m for m in whole.messages if m.auxiliary == "T1"}
    assert make_plan(INFO, whole, muted=muted).modalities == ("FLAIR", "T2", "T1CE")


def test_unknown_message() -> None:
    with pytest.raises(CheckpointError, match="Cannot mute FLAIR:PET"):
        make_plan(INFO, PRESETS["brats2020"], muted={Message("FLAIR", "PET")})
