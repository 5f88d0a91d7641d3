import pytest

from helpers.checkpoints import tiny_info
from napari_ciml.decomposition.edits import without_subtask
from napari_ciml.decomposition.model import Message, Subtask
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CheckpointError, DecompositionError
from napari_ciml.inference.plan import make_plan, unsupported_parts

BRATS = PRESETS["brats2020"]
INFO = tiny_info(BRATS)


def test_two_modalities_are_served_by_muting_the_others() -> None:
    plan = make_plan(INFO, PRESETS["flair-t1ce"])
    assert plan.modalities == ("FLAIR", "T1CE")
    assert plan.subtasks == ("FLAIR", "T1CE")
    assert {Message("FLAIR", "T1"), Message("T1CE", "T2")} <= plan.muted
    assert Message("FLAIR", "T1CE") not in plan.muted
    assert plan.auxiliaries("FLAIR") == ("T1CE",)


def test_untrained_parts_are_named_where_they_are() -> None:
    found = unsupported_parts(INFO, PRESETS["fig3"])
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


def test_what_it_was_trained_for_is_served_whole() -> None:
    plan = make_plan(INFO, BRATS)
    assert plan.pairs == BRATS.pairs
    assert plan.muted == frozenset()
    assert plan.modalities == BRATS.modalities


def test_muting_keeps_the_pairs_and_every_modality_that_is_still_used() -> None:
    plan = make_plan(INFO, BRATS, muted={Message("FLAIR", "T1")})
    assert plan.pairs == BRATS.pairs
    assert plan.muted == {Message("FLAIR", "T1")}
    assert plan.auxiliaries("FLAIR") == ("T2", "T1CE")
    assert plan.auxiliaries("T2") == ("FLAIR", "T1", "T1CE")
    assert plan.modalities == BRATS.modalities


def test_an_auxiliary_switched_off_is_a_muted_message() -> None:
    first, *others = BRATS.subtasks
    fewer = first.model_copy(update={"auxiliaries": ("T1CE", "T2")})
    plan = make_plan(INFO, BRATS.model_copy(update={"subtasks": (fewer, *others)}))
    assert plan.muted == {Message("FLAIR", "T1")}


def test_a_pair_left_out_is_not_computed_and_its_subtask_still_is() -> None:
    *others, last = BRATS.subtasks
    fewer = last.model_copy(update={"regions": ("ET",)})
    plan = make_plan(INFO, BRATS.model_copy(update={"subtasks": (*others, fewer)}))
    assert set(BRATS.pairs) - set(plan.pairs) == {("T1CE", "TC")}
    assert plan.subtasks == ("FLAIR", "T1", "T2", "T1CE")


def test_the_order_asked_in_is_the_order_answered_in() -> None:
    turned = BRATS.model_copy(
        update={"subtasks": BRATS.subtasks[::-1], "modalities": BRATS.modalities[::-1]}
    )
    plan = make_plan(INFO, turned)
    assert plan.subtasks == ("T1CE", "T2", "T1", "FLAIR")
    assert plan.modalities == ("T1CE", "T2", "T1", "FLAIR")


def test_an_untrained_message_and_how_many_more_there_are() -> None:
    two = tiny_info(PRESETS["flair-t1ce"])
    found = unsupported_parts(two, BRATS)
    assert [p.where for p in found] == ["FLAIR", "FLAIR", "T1", "T2", "T1CE", "T1CE"]
    with pytest.raises(CheckpointError, match=r"T1 assisting FLAIR is untrained.*\(and 5 more\)"):
        make_plan(two, BRATS)


def test_primaries_together_are_not_primaries_alone() -> None:
    together = Subtask(primary=("FLAIR", "T1CE"), regions=("WT", "TC", "ET"))
    wanted = BRATS.model_copy(update={"subtasks": (together,)})
    with pytest.raises(CheckpointError, match=r"FLAIR\+T1CE as primary is untrained"):
        make_plan(INFO, wanted)


def test_a_network_without_messages_needs_no_auxiliary() -> None:
    baseline = tiny_info(BRATS, message=False)
    first, *_ = BRATS.subtasks
    wanted = BRATS.model_copy(update={"subtasks": (first,), "regions": BRATS.regions[:1]})
    plan = make_plan(baseline, wanted)
    assert plan.modalities == ("FLAIR",)
    assert plan.auxiliaries("FLAIR") == ()


def test_a_contradiction_is_heard_before_what_is_untrained() -> None:
    with pytest.raises(DecompositionError, match="no subtask predicts"):
        make_plan(INFO, PRESETS["fig3"].model_copy(update={"subtasks": ()}))
