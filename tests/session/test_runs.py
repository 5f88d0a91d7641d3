"""Runs, what changed between them, what muting costs, and what a click asks about."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from helpers.checkpoints import tiny_info
from napari_ciml.cases.case import Case, open_case
from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, CheckpointError, InputError
from napari_ciml.explanation.explain import explain
from napari_ciml.explanation.sensitivity import sensitivity
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import Progress, ProgressMonitor
from napari_ciml.session.comparison import ADDED, ALL, REMOVED, diff_label_maps
from napari_ciml.session.questions import query_at_voxel
from napari_ciml.session.request import SegmentationRequest
from napari_ciml.session.runs import RunHistory

BRATS = PRESETS["brats2020"]


@pytest.fixture
def case(case_folder: Path) -> Case:
    return open_case(case_folder)


@pytest.fixture
def segmentation(case: Case, tiny_checkpoint: Checkpoint) -> Segmentation:
    return segment(case, tiny_checkpoint)


def again(case: Case, checkpoint: Checkpoint, before: Segmentation, **how: object) -> Segmentation:
    return segment(case, checkpoint, settings=SegmentSettings(**how), previous=before)


def add(runs: RunHistory, segmentation: Segmentation) -> None:
    runs.add(segmentation, tiny_info(BRATS))


def test_runs_are_named_after_the_edit_and_found_by_what_was_asked(
    case: Case, tiny_checkpoint: Checkpoint, segmentation: Segmentation
) -> None:
    runs = RunHistory()
    other = again(case, tiny_checkpoint, segmentation, thresholds={"WT": 0.4})
    for one in (segmentation, other, segmentation):
        add(runs, one)
    assert [run.name for run in runs] == ["1: brats2020", "2: WT threshold 0.40"]
    assert runs.current is runs[0]
    sha = tiny_checkpoint.sha256
    lower = SegmentationRequest(BRATS).with_threshold("WT", 0.4)
    assert runs.find_equivalent(lower, sha, SegmentSettings()) is runs[1]
    assert runs.find_equivalent(lower, sha, SegmentSettings(engine="openvino")) is None
    raw = lower.with_option("postprocess", False)
    assert runs.find_equivalent(raw, sha, SegmentSettings()) is None
    assert runs.find_equivalent(lower, "another", SegmentSettings()) is None
    assert runs.find_equivalent(lower.with_threshold("ET", 0.1), sha, SegmentSettings()) is None


def test_old_runs_go_and_named_ones_stay(
    case: Case, tiny_checkpoint: Checkpoint, segmentation: Segmentation
) -> None:
    runs = RunHistory(limit=3)
    add(runs, segmentation)
    runs.rename(runs[0], " as it was ")
    for value in (0.2, 0.3, 0.4):
        add(runs, again(case, tiny_checkpoint, segmentation, thresholds={"WT": value}))
    assert [run.name for run in runs] == [
        "as it was",
        "3: WT threshold 0.30",
        "4: WT threshold 0.40",
    ]
    small = RunHistory(bytes_limit=1)
    add(small, segmentation)
    add(small, runs[1].segmentation)
    assert [run.segmentation for run in small] == [runs[1].segmentation]


def test_only_the_newest_runs_messages_are_held(
    case: Case, tiny_checkpoint: Checkpoint, segmentation: Segmentation
) -> None:
    runs = RunHistory()
    edited = again(case, tiny_checkpoint, segmentation, thresholds={"WT": 0.4})
    for one in (segmentation, edited):
        add(runs, one)
    assert segmentation.cache.messages_bytes > 0
    add(runs, segment(case, tiny_checkpoint, settings=SegmentSettings(overlap=0.25)))
    assert (segmentation.cache.messages_bytes, segmentation.cache.states_bytes) == (0, 0)
    assert runs[2].segmentation.cache.messages_bytes > 0
    muted = frozenset({Message("T2", "T1")})
    after = again(case, tiny_checkpoint, segmentation, muted=muted)
    expected = segment(case, tiny_checkpoint, settings=SegmentSettings(muted=muted))
    np.testing.assert_array_equal(after.label_map, expected.label_map)


def test_what_changed_is_counted_by_hand() -> None:
    before, after = np.zeros((1, 2, 4), np.uint8), np.zeros((1, 2, 4), np.uint8)
    before[0, 0] = (2, 2, 1, 4)
    after[0] = (2, 1, 1, 0), (2, 0, 0, 0)
    regions = (BRATS.regions, BRATS.regions)
    reference = {"WT": after > 0}
    found = diff_label_maps(before, after, regions, 0.5, ("an edit", "the run before"), reference)
    wt, tc, et = (found.regions[name] for name in ("WT", "TC", "ET"))
    assert (wt.before_ml, wt.after_ml, wt.dice) == (2.0, 2.0, 0.75)
    assert wt.to_reference == (0.75, 1.0)
    assert (tc.ml, tc.dice, tc.to_reference) == (0.0, 0.5, None)
    assert (et.ml, et.dice) == (-0.5, 0.0)
    np.testing.assert_array_equal(found.voxels["TC"][0, 0], (0, ADDED, 0, REMOVED))
    expected = [[0, ADDED, 0, REMOVED], [ADDED, 0, 0, 0]]
    np.testing.assert_array_equal(found.voxels[ALL][0], expected)


def test_sensitivity_is_what_a_full_run_says(
    case: Case, tiny_checkpoint: Checkpoint, segmentation: Segmentation
) -> None:
    seen: list[Progress] = []
    costs = sensitivity(case, tiny_checkpoint, segmentation, ProgressMonitor(report=seen.append))
    assert {cost.message for cost in costs} == set(BRATS.messages)
    assert [cost.worst for cost in costs] == sorted(cost.worst for cost in costs)
    assert seen[3].total == len(costs) == 12
    message = Message("T2", "T1")
    (cost,) = [cost for cost in costs if cost.message == message]
    whole = segment(case, tiny_checkpoint, settings=SegmentSettings(muted=frozenset({message})))
    for name, ml in whole.volumes_ml.items():
        assert cost.ml[name] == pytest.approx(ml - segmentation.volumes_ml[name])
    with pytest.raises(CheckpointError, match="another checkpoint"):
        sensitivity(
            case, replace(tiny_checkpoint, sha256="f" * 64), segmentation, ProgressMonitor()
        )
    stop = Event()
    stop.set()
    with pytest.raises(CancelledError):
        sensitivity(case, tiny_checkpoint, segmentation, ProgressMonitor(stop=stop))


def test_a_click_asks_about_one_component_of_the_innermost_region() -> None:
    labels = np.zeros((3, 4, 9), np.uint8)
    labels[0, 0, :3] = 2
    labels[1, 1, 3] = 4  # touches the first by a corner
    labels[0, 0, 6:] = (1, 4, 2)
    asked = query_at_voxel(labels, BRATS.regions, (0, 0, 1))
    assert asked.name == "WT at (1, 0, 0)"
    assert list(asked.masks) == ["WT"]
    assert asked.masks["WT"].sum() == 4
    assert list(query_at_voxel(labels, BRATS.regions, (0, 0, 7)).masks) == ["ET"]
    core = query_at_voxel(labels, BRATS.regions, (0, 0, 7), "TC")
    np.testing.assert_array_equal(np.argwhere(core.masks["TC"]), [(0, 0, 6), (0, 0, 7)])
    assert query_at_voxel(labels, BRATS.regions, (0, 0, 7), "WT").masks["WT"].sum() == 3


def test_a_click_beside_asks_about_nothing_or_the_voxel() -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[0, 0, 0] = 2
    with pytest.raises(InputError, match="ask about the voxel"):
        query_at_voxel(labels, BRATS.regions, (2, 2, 2))
    with pytest.raises(InputError, match="ET is not there"):
        query_at_voxel(labels, BRATS.regions, (0, 0, 0), "ET")
    with pytest.raises(InputError, match="outside"):
        query_at_voxel(labels, BRATS.regions, (3, 0, 0))
    asked = query_at_voxel(labels, BRATS.regions, (2, 2, 2), one_voxel=True)
    assert list(asked.masks) == ["WT", "TC", "ET"]
    assert asked.masks["TC"].sum() == 1
    assert list(query_at_voxel(labels, BRATS.regions, (0, 0, 0), one_voxel=True).masks) == ["WT"]


def test_an_answer_speaks_of_the_pairs_of_its_region(
    case: Case, tiny_checkpoint: Checkpoint, segmentation: Segmentation
) -> None:
    labels = np.zeros(case.grid.shape, np.uint8)
    labels[20:24, 20:24, 20:24] = 4
    asked = query_at_voxel(labels, BRATS.regions, (21, 21, 21), "TC")
    found = explain(case, tiny_checkpoint, segmentation, targets=asked.masks)
    primaries = {Pair(primary, "TC") for primary in ("T1", "T2", "T1CE")}
    assert {pair for pair, _ in found.weights} == primaries
