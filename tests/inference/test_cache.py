"""What-if from what was kept gives the answer of a full run, and runs only what it touches."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from helpers.checkpoints import tiny_info
from napari_ciml.cases.case import Case, open_case
from napari_ciml.decomposition.edits import without_subtask
from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, InputError
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.plan import make_plan
from napari_ciml.inference.result import Segmentation
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor

BRATS = PRESETS["brats2020"]
MUTED = SegmentSettings(muted=frozenset({Message("T2", "T1")}))


@pytest.fixture
def case(case_folder: Path) -> Case:
    return open_case(case_folder)


@pytest.fixture
def ran(tiny_checkpoint: Checkpoint) -> Iterator[list[str]]:
    """Names of the encoders and segmentors that ran, in small and capital letters."""
    seen: list[str] = []
    network = tiny_checkpoint.network
    hooks = [
        part.register_forward_hook(lambda *_, name=name: seen.append(name))
        for name, part in [
            *((name.lower(), encoder) for name, encoder in network.encoders.items()),
            *((name, segmentor.output) for name, segmentor in network.segmentors.items()),
        ]
    ]
    yield seen
    for hook in hooks:
        hook.remove()


def same(a: Segmentation, b: Segmentation) -> None:
    np.testing.assert_array_equal(a.label_map, b.label_map)
    assert a.volumes_ml == b.volumes_ml
    assert a.pair_probabilities.keys() == b.pair_probabilities.keys()
    for pair in a.pair_probabilities:
        np.testing.assert_array_equal(a.pair_probabilities[pair], b.pair_probabilities[pair])
    for name, values in a.probabilities.items():
        np.testing.assert_array_equal(values, b.probabilities[name])


def test_muting_runs_one_segmentor_and_no_encoder(
    case: Case, tiny_checkpoint: Checkpoint, ran: list[str]
) -> None:
    before = segment(case, tiny_checkpoint)
    expected = segment(case, tiny_checkpoint, settings=MUTED)
    ran.clear()
    after = segment(case, tiny_checkpoint, settings=MUTED, previous=before)
    assert set(ran) == {"T2"}
    same(after, expected)
    # FLAIR's WT and T1CE's ET are untouched; of the regions only ET is.
    assert (
        after.pair_probabilities[Pair("FLAIR", "WT")]
        is before.pair_probabilities[Pair("FLAIR", "WT")]
    )
    assert after.probabilities["ET"] is before.probabilities["ET"]
    ran.clear()
    same(segment(case, tiny_checkpoint, previous=after), before)
    assert ran == []


@pytest.mark.parametrize(
    "settings",
    [
        SegmentSettings(thresholds={"WT": 0.55, "ET": 0.3}),
        SegmentSettings(weights={Pair("T1", "TC"): 0.0, Pair("T2", "WT"): 2.5}),
        SegmentSettings(postprocess=False),
    ],
)
def test_thresholds_and_ensembles_run_nothing(
    case: Case, tiny_checkpoint: Checkpoint, ran: list[str], settings: SegmentSettings
) -> None:
    before = segment(case, tiny_checkpoint)
    expected = segment(case, tiny_checkpoint, settings=settings)
    ran.clear()
    same(segment(case, tiny_checkpoint, settings=settings, previous=before), expected)
    assert ran == []


def test_a_subtask_left_out_and_taken_in_again(
    case: Case, tiny_checkpoint: Checkpoint, ran: list[str]
) -> None:
    fewer = without_subtask(BRATS, 1)
    expected = segment(case, tiny_checkpoint, fewer)
    whole = segment(case, tiny_checkpoint, BRATS)
    ran.clear()
    same(segment(case, tiny_checkpoint, fewer, previous=whole), expected)
    assert ran == []
    same(segment(case, tiny_checkpoint, BRATS, previous=expected), whole)
    assert "flair" not in ran


def test_other_modalities_are_another_input(case: Case, tiny_checkpoint: Checkpoint) -> None:
    """A modality that is no longer needed may make the crop smaller; the answer shows it."""
    images = dict(case.images)
    images["T2"] = np.pad(images["T2"][:, :-8], [(0, 0), (8, 0), (0, 0)])
    moved = replace(case, images=images)
    two = PRESETS["flair-t1ce"]
    whole = segment(moved, tiny_checkpoint)
    after = segment(moved, tiny_checkpoint, two, previous=whole)
    same(after, segment(moved, tiny_checkpoint, two))
    assert after.model_input.grid != whole.model_input.grid


def test_nothing_is_taken_from_another_case_or_checkpoint(
    case: Case, tiny_checkpoint: Checkpoint, ran: list[str]
) -> None:
    other = replace(case, images={m: image[::-1].copy() for m, image in case.images.items()})
    before = segment(other, tiny_checkpoint)
    expected = segment(case, tiny_checkpoint)
    same(segment(case, tiny_checkpoint, previous=before), expected)
    ran.clear()
    segment(case, tiny_checkpoint, previous=replace(expected, checkpoint="0" * 64))
    assert "flair" in ran


def test_past_the_limit_messages_are_computed_again(
    case: Case, tiny_checkpoint: Checkpoint, ran: list[str]
) -> None:
    whole = segment(case, tiny_checkpoint)
    size = whole.cache.messages_bytes
    assert size > 0
    few = InferenceCache(whole.cache.runtime, messages_limit=size // 2)
    before = replace(whole, cache=few)
    segment(case, tiny_checkpoint, previous=before)
    assert 0 < few.messages_bytes <= size // 2
    expected = segment(case, tiny_checkpoint, settings=MUTED)
    ran.clear()
    same(segment(case, tiny_checkpoint, settings=MUTED, previous=before), expected)
    assert "t1ce" in ran


def test_the_oldest_answer_goes() -> None:
    plan = make_plan(tiny_info(BRATS), BRATS)
    values = {pair: np.zeros(100, np.float32) for pair in plan.pairs}
    kept = InferenceCache(None, probabilities_limit=5 * 400)
    kept.store_probabilities(plan, values)
    assert list(kept.probabilities(plan)) == list(plan.pairs)[1:]
    deaf = make_plan(tiny_info(BRATS), BRATS, {Message("T2", "T1")})
    assert {pair.primary for pair in kept.probabilities(deaf)} == {"T1", "T1CE"}


def test_memory_that_is_full_on_the_way(case: Case, tiny_checkpoint: Checkpoint) -> None:
    before = segment(case, tiny_checkpoint)
    failed: list[str] = []

    def full(*_: object) -> None:
        if not failed:
            failed.append("")
            raise torch.OutOfMemoryError("CUDA out of memory")

    tiny_checkpoint.network.segmentors["T2"].output.register_forward_pre_hook(full)
    with pytest.raises(Exception, match="not enough memory"):
        segment(case, tiny_checkpoint, settings=MUTED, previous=before)
    assert set(before.cache.probabilities(before.plan)) == set(BRATS.pairs)


def test_cancel_leaves_what_is_kept_whole(
    case: Case, tiny_checkpoint: Checkpoint, ran: list[str]
) -> None:
    before, stop = segment(case, tiny_checkpoint), Event()
    monitor = ProgressMonitor(lambda p: stop.set() if p.stage == "Segmenting" else None, stop=stop)
    with pytest.raises(CancelledError):
        segment(case, tiny_checkpoint, settings=MUTED, monitor=monitor, previous=before)
    ran.clear()
    same(segment(case, tiny_checkpoint, previous=before), before)
    assert ran == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"thresholds": {"WT": 0.0}}, "threshold of WT is 0"),
        ({"thresholds": {"WT": float("nan")}}, "threshold of WT is nan"),
        ({"weights": {Pair("T2", "WT"): -1.0}}, "weight of WT from T2 is -1"),
        ({"weights": {Pair("T2", "WT"): float("inf")}}, "weight of WT from T2 is inf"),
    ],
)
def test_settings_out_of_range(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SegmentSettings(**fields)


def test_weights_of_pairs_that_are_not_there(tiny_checkpoint: Checkpoint) -> None:
    with pytest.raises(InputError, match="Cannot weigh ET from T2"):
        make_plan(tiny_checkpoint.info, BRATS, weights={Pair("T2", "ET"): 1.0})
    with pytest.raises(InputError, match="Every pair that predicts ET has weight 0"):
        make_plan(tiny_checkpoint.info, BRATS, weights={Pair("T1CE", "ET"): 0.0})
