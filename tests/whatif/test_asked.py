"""What is asked for: edits in words, undo and redo."""

from dataclasses import replace
from pathlib import Path

from conftest import tiny_info
from napari_ciml import editing
from napari_ciml.decomposition import Pair
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import save_checkpoint
from napari_ciml.network.checkpoint_info import Finish
from napari_ciml.network.ciml import CIML
from napari_ciml.presets import PRESETS
from napari_ciml.review import Review
from napari_ciml.whatif.asked import Asked, differences

BRATS = Asked(PRESETS["brats2020"])
T2_WT = Pair("T2", "WT")


def edited(change: object, *arguments: object) -> Asked:
    return replace(BRATS, decomposition=change(BRATS.decomposition, *arguments))


def test_every_edit_is_said_in_words() -> None:
    muted = edited(editing.with_role, 0, "T2", "off")
    assert differences(BRATS, muted) == ("T2 muted for FLAIR",)
    assert differences(muted, BRATS) == ("T2 heard for FLAIR",)
    assert differences(BRATS, edited(editing.with_region, 2, "TC", False)) == ("TC not from T2",)
    fewer = edited(editing.without_subtask, 1)
    assert differences(BRATS, fewer) == ("T1 is no longer a primary",)
    assert differences(fewer, BRATS) == ("T1 is a primary",)
    both = BRATS.with_threshold("ET", 0.3).with_weight(T2_WT, 2.5)
    assert differences(BRATS, both) == ("ET from 0.30 on", "WT from T2 weighs 2.5")
    other = Asked(PRESETS["autopet"])
    assert differences(BRATS, other) == ("'autopet' for 'brats2020'",)


def test_names_alone_make_no_difference() -> None:
    twice = editing.with_role(BRATS.decomposition, 0, "T2", "off")
    back = replace(BRATS, decomposition=editing.with_role(twice, 0, "T2", "auxiliary"))
    assert back != BRATS
    assert back.same_as(BRATS)
    assert BRATS.with_threshold("ET", 0.3).with_threshold("ET", 0.5) == BRATS
    assert BRATS.with_weight(T2_WT, 0).with_weight(T2_WT, 1) == BRATS


def test_weights_of_pairs_that_are_out_are_kept_back() -> None:
    weighed = BRATS.with_weight(T2_WT, 0.5).with_weight(Pair("FLAIR", "WT"), 2)
    without = replace(weighed, decomposition=editing.without_subtask(weighed.decomposition, 2))
    how = SegmentSettings(device="cpu", engine="torch")
    assert without.settings(how).weights == {Pair("FLAIR", "WT"): 2}
    assert weighed.settings(how).weights[T2_WT] == 0.5
    assert weighed.settings(how).engine == "torch"


def test_specks_mirroring_and_samples_are_asked_for_too() -> None:
    review, how = Review(), SegmentSettings(device="cpu")
    review.set_clean(False)
    review.set_mirror(True)
    review.set_coarser(True)
    for count in (1, 2, 8):
        review.set_samples(count)
    asked = review.asked.settings(how)
    assert (asked.clean, asked.mirror, asked.coarser) == (False, True, True)
    assert (asked.samples, asked.device) == (8, "cpu")
    said = ("specks and holes kept", "mirrored", "two voxel sizes", "8 samples")
    assert differences(BRATS, review.asked) == said
    assert differences(review.asked, BRATS) == (
        "specks and holes removed", "not mirrored", "one voxel size", "no samples",
    )  # fmt: skip
    assert not review.asked.same_but_for_passes(BRATS)
    assert replace(review.asked, clean=True, coarser=False).same_but_for_passes(BRATS)
    review.undo()  # the three clicks on samples are one edit
    assert (review.asked.samples, review.asked.mirror) == (0, True)
    for _ in range(3):
        review.undo()
    assert review.asked == BRATS
    assert review.asked.with_threshold("ET", 0.3).plain() == BRATS


def test_voxel_sizes_follow_the_checkpoint_unless_they_were_changed(tmp_path: Path) -> None:
    review, paths = Review(), {}
    for coarser in (False, True):
        paths[coarser] = tmp_path / f"{coarser}.safetensors"
        info = tiny_info(BRATS.decomposition).model_copy(update={"finish": Finish(coarser=coarser)})
        save_checkpoint(paths[coarser], CIML(info.decomposition, info.network), info)
    for coarser in (False, True, False, True):
        review.set_checkpoint(paths[coarser])
        assert review.asked.coarser is coarser
    review.set_coarser(False)
    review.set_checkpoint(paths[True])  # as after fine-tuning
    assert not review.asked.coarser


def test_a_region_that_nobody_weighs_is_a_problem() -> None:
    none = BRATS.with_weight(T2_WT, 0)
    assert none.problems() == ()
    none = none.with_weight(Pair("FLAIR", "WT"), 0)
    assert [problem.where for problem in none.problems()] == ["WT"]
    review = Review()
    review.ask(none)
    assert review.problems()[0].message == "Every pair that predicts WT has weight 0; raise one."


def test_undo_and_redo() -> None:
    review = Review()
    heard: list[str] = []
    review.decomposition_changed.connect(lambda: heard.append("decomposition"))
    review.asked_changed.connect(lambda: heard.append("asked"))
    review.set_decomposition(editing.with_role(review.decomposition, 0, "T2", "off"))
    muted = review.asked
    for value in (0.45, 0.4, 0.35):
        review.set_threshold("WT", value)
    review.set_threshold("TC", 0.4)
    assert heard == ["decomposition", "asked", *["asked"] * 4]
    review.undo()
    assert review.asked.thresholds == {"WT": 0.35}
    review.undo()
    assert review.asked == muted
    review.undo()
    assert review.asked == BRATS
    review.undo()
    assert review.asked == BRATS
    review.redo()
    review.redo()
    assert review.asked.thresholds == {"WT": 0.35}
    review.set_threshold("WT", 0.6)
    review.redo()
    assert review.asked.thresholds == {"WT": 0.6}


def test_a_slider_that_came_to_rest_is_one_edit() -> None:
    review = Review()
    review.set_threshold("WT", 0.4)
    review.edits.settle()
    review.set_threshold("WT", 0.3)
    review.undo()
    assert review.asked.thresholds == {"WT": 0.4}
