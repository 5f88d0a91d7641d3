from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from helpers.networks import inference_context
from napari_ciml.cases.case import open_case
from napari_ciml.cases.preprocessing import to_case_grid
from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError, CheckpointError
from napari_ciml.explanation.explain import complementary_weights, explain
from napari_ciml.explanation.gradcam import complementary_maps
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.segment import segment
from napari_ciml.inference.settings import SegmentSettings
from napari_ciml.inference.tiles import make_tiling
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import Progress, ProgressMonitor


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare numbers without the noise of bfloat16."""
    monkeypatch.setattr("napari_ciml.inference.device.half_precision", lambda _: None)


def test_weights_are_equation_16() -> None:
    pair, other = Pair("T2", "WT"), Pair("T2", "TC")
    maps = {
        (pair, "FLAIR"): np.full((2, 2, 2), 3.0),
        (pair, "T1"): np.full((2, 2, 2), 1.0),
        (other, "FLAIR"): np.zeros((2, 2, 2)),
    }
    everywhere = np.ones((2, 2, 2), bool)
    weights = complementary_weights(maps, {"WT": everywhere, "TC": everywhere})
    assert weights[pair, "FLAIR"] == 0.75
    assert weights[pair, "T1"] == 0.25
    assert np.isnan(weights[other, "FLAIR"])


def test_weights_count_where_it_was_asked() -> None:
    pair, asked = Pair("T2", "TC"), np.zeros((4, 4, 4), bool)
    asked[1:3] = True
    maps = {(pair, "T1CE"): np.where(asked, 3.0, 0.0), (pair, "T1"): np.where(asked, 1.0, 50.0)}
    weights = complementary_weights(maps, {"TC": asked})
    assert weights == {(pair, "T1CE"): 0.75, (pair, "T1"): 0.25}
    nowhere = complementary_weights(maps, {"TC": np.zeros_like(asked)})
    assert np.isnan(list(nowhere.values())).all()


def test_weights_do_not_overflow_or_lose_small_maps() -> None:
    pair = Pair("T2", "WT")
    large = np.full((128, 128, 128), 1e4, np.float32)
    maps = {(pair, "T1"): large, (pair, "FLAIR"): large / 4}
    weights = complementary_weights(maps, {"WT": np.ones(large.shape, bool)})
    assert weights[pair, "T1"] == pytest.approx(0.8, rel=1e-9)


def test_another_checkpoint_cannot_explain(case_folder: Path, tiny_checkpoint: Checkpoint) -> None:
    case = open_case(case_folder)
    result = segment(case, tiny_checkpoint, PRESETS["flair-t1ce"])
    with pytest.raises(CheckpointError, match="another checkpoint; segment it again"):
        explain(case, tiny_checkpoint, replace(result, checkpoint="0" * 64))


def test_maps_are_scaled_by_one_value_and_weighed_in_their_regions(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    """Nothing but the grid and one factor lies between the maps of eq. 14 and what is shown."""
    case = open_case(case_folder)
    result = segment(case, tiny_checkpoint, PRESETS["flair-t1ce"])
    seen = result.model_input
    found = explain(case, tiny_checkpoint, result)
    targets = {
        name: (values >= 0.5) & seen.foreground
        for name, values in ensemble(result.pair_probabilities, result.plan).items()
    }
    shape = seen.foreground.shape
    space = Runtime(torch.device("cpu"), make_tiling(shape, (32, 32, 32), 0.5))
    context = inference_context(tiny_checkpoint, result.plan, space)
    maps = complementary_maps(context, seen.images, targets)
    inside = {triple: zeta * seen.foreground for triple, zeta in maps.items()}
    assert found.scale == pytest.approx(max(float(zeta.max()) for zeta in inside.values()))
    for (pair, auxiliary), zeta in inside.items():
        asked = targets[pair.region]
        row = sum(float(other[asked].sum()) for (p, _), other in inside.items() if p == pair)
        expected = float(zeta[asked].sum()) / row if row else np.nan
        weight = found.weights[pair, auxiliary]
        assert weight == pytest.approx(expected, rel=1e-4, nan_ok=True)
        shown = to_case_grid(zeta / found.scale, seen.grid, case)
        np.testing.assert_allclose(found.maps[pair, auxiliary], shown, atol=1e-5)


def test_explain_a_case(case_folder: Path, tiny_checkpoint: Checkpoint) -> None:
    case = open_case(case_folder)
    result = segment(case, tiny_checkpoint)
    found = explain(case, tiny_checkpoint, result)
    assert len(found.maps) == len(found.weights) == 18
    assert all(zeta.shape == case.grid.shape for zeta in found.maps.values())
    assert all(zeta.min() >= 0 and zeta.max() <= 1 + 1e-5 for zeta in found.maps.values())
    for pair in result.plan.pairs:
        row = [w for (p, _), w in found.weights.items() if p == pair]
        assert np.isnan(row).all() or sum(row) == pytest.approx(1)


def test_a_region_without_a_voxel_has_zero_maps(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    case = open_case(case_folder)
    result = segment(case, tiny_checkpoint)
    result.pair_probabilities[Pair("T1CE", "ET")][:] = 0
    found = explain(case, tiny_checkpoint, result)
    assert found.notices == ("No ET was found, so nothing explains it.",)
    assert found.maps[Pair("T1CE", "ET"), "T2"].max() == 0
    assert np.isnan(found.weights[Pair("T1CE", "ET"), "T2"])


def test_a_muted_message_has_no_map(case_folder: Path, tiny_checkpoint: Checkpoint) -> None:
    case = open_case(case_folder)
    settings = SegmentSettings(muted=frozenset({Message("FLAIR", "T1")}))
    found = explain(case, tiny_checkpoint, segment(case, tiny_checkpoint, settings=settings))
    assert (Pair("FLAIR", "WT"), "T1") not in found.maps
    assert (Pair("FLAIR", "WT"), "T2") in found.maps


def test_maps_start_from_what_the_segmentation_kept(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    """No encoder runs again, and the maps are those of a run that has kept nothing."""
    case = open_case(case_folder)
    result = segment(case, tiny_checkpoint)
    forgetful = replace(result, cache=InferenceCache(result.cache.runtime, messages_limit=0))
    expected = explain(case, tiny_checkpoint, forgetful)
    for part in tiny_checkpoint.network.encoders.values():
        part.register_forward_hook(lambda *_: pytest.fail("encoded again"))
    found = explain(case, tiny_checkpoint, result)
    assert found.weights == expected.weights
    assert found.strongest == expected.strongest
    for triple, zeta in found.maps.items():
        np.testing.assert_array_equal(zeta, expected.maps[triple])


def test_why_here(case_folder: Path, tiny_checkpoint: Checkpoint) -> None:
    """Asked about one voxel, and about all that was found of a region."""
    case = open_case(case_folder)
    result = segment(case, tiny_checkpoint)
    whole = explain(case, tiny_checkpoint, result)
    region = next(pair.region for pair, _ in whole.maps if whole.maps[pair, "T2"].any())
    one = np.zeros(case.grid.shape, bool)
    one[20, 22, 24] = True
    found = explain(case, tiny_checkpoint, result, targets={region: one})
    assert {pair.region for pair, _ in found.maps} == {region}
    assert 0 < found.scale < whole.scale
    assert found.notices == ()
    corner = np.zeros(case.grid.shape, bool)
    corner[0, 0, 0] = True
    outside = explain(case, tiny_checkpoint, result, targets={region: corner})
    assert outside.strongest is None
    assert "lie outside" in outside.notices[0]


@pytest.mark.parametrize("stage", ["Explaining", "Assembling"])
def test_cancel_in_every_stage(case_folder: Path, tiny_checkpoint: Checkpoint, stage: str) -> None:
    case, stop, last = open_case(case_folder), Event(), []
    result = segment(case, tiny_checkpoint)

    def report(progress: Progress) -> None:
        last.append(progress.stage)
        if progress.stage.startswith(stage):
            stop.set()

    with pytest.raises(CancelledError):
        explain(case, tiny_checkpoint, result, ProgressMonitor(report, stop=stop))
    assert last[-1].startswith(stage)


def test_nothing_to_explain_where_nobody_assists(
    case_folder: Path, tiny_checkpoint: Checkpoint
) -> None:
    case = open_case(case_folder)
    preset = PRESETS["flair-t1ce"]
    settings = SegmentSettings(muted=frozenset(preset.messages))
    result = segment(case, tiny_checkpoint, preset, settings)
    found = explain(case, tiny_checkpoint, result)
    assert (found.maps, found.weights, found.scale) == ({}, {}, 0.0)
