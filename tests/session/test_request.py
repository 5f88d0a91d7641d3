"""What is asked for: edits in words, undo and redo."""

from dataclasses import replace
from pathlib import Path

from helpers.checkpoints import tiny_info
from napari_ciml.decomposition import edits
from napari_ciml.decomposition.model import Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import save_checkpoint
from napari_ciml.network.checkpoint_info import PostprocessingSettings
from napari_ciml.network.ciml import CIML
from napari_ciml.session.model import SessionModel
from napari_ciml.session.request import SegmentationRequest, describe_changes

BRATS = SegmentationRequest(PRESETS["brats2020"])
T2_WT = Pair("T2", "WT")


def edited(change: object, *arguments: object) -> SegmentationRequest:
    return replace(BRATS, decomposition=change(BRATS.decomposition, *arguments))


def test_every_edit_is_said_in_words() -> None:
    muted = edited(edits.with_role, 0, "T2", "off")
    assert describe_changes(BRATS, muted) == ("T2 muted for FLAIR",)
    assert describe_changes(muted, BRATS) == ("T2 unmuted for FLAIR",)
    assert describe_changes(BRATS, edited(edits.with_region, 2, "TC", False)) == (
        "TC no longer from T2",
    )
    fewer = edited(edits.without_subtask, 1)
    assert describe_changes(BRATS, fewer) == ("subtask T1 removed",)
    assert describe_changes(fewer, BRATS) == ("subtask T1 added",)
    both = BRATS.with_threshold("ET", 0.3).with_weight(T2_WT, 2.5)
    assert describe_changes(BRATS, both) == ("ET threshold 0.30", "T2 weight 2.5 for WT")
    other = SegmentationRequest(PRESETS["autopet"])
    assert describe_changes(BRATS, other) == ("'autopet' for 'brats2020'",)


def test_names_alone_make_no_difference() -> None:
    twice = edits.with_role(BRATS.decomposition, 0, "T2", "off")
    back = replace(BRATS, decomposition=edits.with_role(twice, 0, "T2", "auxiliary"))
    assert back != BRATS
    assert back.same_as(BRATS)
    assert BRATS.with_threshold("ET", 0.3).with_threshold("ET", 0.5) == BRATS
    assert BRATS.with_weight(T2_WT, 0).with_weight(T2_WT, 1) == BRATS


def test_weights_of_pairs_that_are_out_are_kept_back() -> None:
    weighed = BRATS.with_weight(T2_WT, 0.5).with_weight(Pair("FLAIR", "WT"), 2)
    without = replace(weighed, decomposition=edits.without_subtask(weighed.decomposition, 2))
    how = SegmentSettings(device="cpu", engine="torch")
    assert without.settings(how).weights == {Pair("FLAIR", "WT"): 2}
    assert weighed.settings(how).weights[T2_WT] == 0.5
    assert weighed.settings(how).engine == "torch"


def test_specks_mirroring_and_samples_are_asked_for_too() -> None:
    model, how = SessionModel(), SegmentSettings(device="cpu")
    model.set_option("postprocess", False)
    model.set_option("test_time_flips", True)
    model.set_option("multiscale", True)
    for count in (1, 2, 8):
        model.set_option("kappa_samples", count, merge=True)
    asked = model.request.settings(how)
    assert (asked.postprocess, asked.test_time_flips, asked.multiscale) == (False, True, True)
    assert (asked.kappa_samples, asked.device) == (8, "cpu")
    said = ("not postprocessed", "test-time flips", "multiscale", "8 samples")
    assert describe_changes(BRATS, model.request) == said
    assert describe_changes(model.request, BRATS) == (
        "postprocessed", "no test-time flips", "single scale", "no samples",
    )  # fmt: skip
    assert not model.request.equals_ignoring_slow_options(BRATS)
    fast = model.request.with_option("postprocess", True).with_option("multiscale", False)
    assert fast.equals_ignoring_slow_options(BRATS)
    model.undo()  # the three clicks on samples are one edit
    assert (model.request.options.kappa_samples, model.request.options.test_time_flips) == (0, True)
    for _ in range(3):
        model.undo()
    assert model.request == BRATS
    assert model.request.with_threshold("ET", 0.3).without_tuning() == BRATS


def test_voxel_sizes_follow_the_checkpoint_unless_they_were_changed(tmp_path: Path) -> None:
    model, paths = SessionModel(), {}
    for coarser in (False, True):
        paths[coarser] = tmp_path / f"{coarser}.safetensors"
        info = tiny_info(BRATS.decomposition).model_copy(
            update={"postprocessing": PostprocessingSettings(multiscale=coarser)}
        )
        save_checkpoint(paths[coarser], CIML(info.decomposition, info.network), info)
    for coarser in (False, True, False, True):
        model.set_checkpoint(paths[coarser])
        assert model.request.options.multiscale is coarser
    model.set_option("multiscale", False)
    model.set_checkpoint(paths[True])  # as after fine-tuning
    assert not model.request.options.multiscale


def test_a_region_that_nobody_weighs_is_a_problem() -> None:
    none = BRATS.with_weight(T2_WT, 0)
    assert none.problems() == ()
    none = none.with_weight(Pair("FLAIR", "WT"), 0)
    assert [problem.where for problem in none.problems()] == ["WT"]
    model = SessionModel()
    model.set_request(none)
    assert model.problems()[0].message == "Every pair that predicts WT has weight 0; raise one."


def test_undo_and_redo() -> None:
    model = SessionModel()
    heard: list[str] = []
    model.decomposition_changed.connect(lambda: heard.append("decomposition"))
    model.request_changed.connect(lambda: heard.append("asked"))
    model.set_decomposition(edits.with_role(model.decomposition, 0, "T2", "off"))
    muted = model.request
    for value in (0.45, 0.4, 0.35):
        model.set_threshold("WT", value)
    model.set_threshold("TC", 0.4)
    assert heard == ["decomposition", "asked", *["asked"] * 4]
    model.undo()
    assert model.request.options.thresholds == {"WT": 0.35}
    model.undo()
    assert model.request == muted
    model.undo()
    assert model.request == BRATS
    model.undo()
    assert model.request == BRATS
    model.redo()
    model.redo()
    assert model.request.options.thresholds == {"WT": 0.35}
    model.set_threshold("WT", 0.6)
    model.redo()
    assert model.request.options.thresholds == {"WT": 0.6}


def test_a_slider_that_came_to_rest_is_one_edit() -> None:
    model = SessionModel()
    model.set_threshold("WT", 0.4)
    model.undo_stack.end_merge()
    model.set_threshold("WT", 0.3)
    model.undo()
    assert model.request.options.thresholds == {"WT": 0.4}
