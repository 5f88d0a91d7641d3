from itertools import product

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from napari_ciml.training.cohort import TrainingCase
from napari_ciml.training.patches import (
    DistributedPatchSampler,
    Patches,
    PatchSource,
    draw_patch,
    draw_shape,
)
from napari_ciml.training.settings import TrainSettings


def test_patches_are_centred_on_regions_and_padded() -> None:
    images = np.arange(2 * 20 * 20 * 20, dtype=np.float16).reshape(2, 20, 20, 20) + 1
    regions = np.zeros((1, 20, 20, 20), bool)
    regions[0, 18, 18, 18] = True
    case = TrainingCase.from_arrays(images, regions)
    rng = np.random.default_rng(0)
    small = (16, 16, 16)
    assert all(draw_patch(case, small, 1.0, rng)["regions"].sum() == 1 for _ in range(20))
    patch = draw_patch(case, (32, 16, 16), 0.33, rng)["image"]
    assert patch.shape == (2, 32, 16, 16)
    assert (patch[0].flatten(1).max(1).values > 0).sum() == 20
    assert patch.dtype == torch.float32


def test_a_small_region_is_centred_on_as_often_as_a_large_one() -> None:
    regions = np.zeros((2, 48, 48, 48), bool)
    regions[0, :, :, :24] = True
    regions[1, 2, 2, 45] = True
    case = TrainingCase.from_arrays(np.zeros((2, 48, 48, 48), np.float16), regions)
    rng = np.random.default_rng(0)
    small = (16, 16, 16)
    found = [bool(draw_patch(case, small, 1.0, rng)["regions"][1].any()) for _ in range(200)]
    assert 0.4 < np.mean(found) < 0.6


def test_a_patch_depends_on_seed_and_index_alone(
    cohort: list[TrainingCase], settings: TrainSettings
) -> None:
    patches = Patches(cohort, settings)
    first = patches[11]
    _ = patches[3]
    again = Patches(cohort, settings)[11]
    torch.testing.assert_close(first["image"], again["image"])
    torch.testing.assert_close(first["regions"], again["regions"])
    other = Patches(cohort, settings.model_copy(update={"seed": 1}))[11]
    assert not torch.equal(first["image"], other["image"])


def test_workers_give_what_one_process_gives(
    cohort: list[TrainingCase], settings: TrainSettings
) -> None:
    def batches(workers: int) -> list[torch.Tensor]:
        short = settings.model_copy(update={"epochs": 1, "iterations": 3})
        loader = DataLoader(
            Patches(cohort, short),
            batch_size=2,
            sampler=DistributedPatchSampler(short),
            num_workers=workers,
        )
        return [batch["image"] for batch in loader]

    for one, other in zip(batches(0), batches(2), strict=True):
        torch.testing.assert_close(one, other)


def test_every_step_has_patches_of_a_size_of_its_own(
    cohort: list[TrainingCase], settings: TrainSettings
) -> None:
    sizes = settings.model_copy(update={"largest_patch": (32, 48, 64), "iterations": 10})
    drawn = {draw_shape(sizes, step) for step in range(200)}
    assert drawn == set(product((32,), (32, 48), (32, 48, 64)))
    one, two = Patches(cohort, sizes), Patches(cohort, sizes, world=2)
    assert [one[k]["image"].shape[1:] for k in (8, 9)] == [draw_shape(sizes, 4)] * 2
    together = [two[k]["regions"].shape[1:] for k in (16, 17, 18, 19)]
    assert together == [draw_shape(sizes, 4)] * 4


def test_processes_share_a_step_between_them(settings: TrainSettings) -> None:
    single = settings.model_copy(update={"batch_size": 1, "epochs": 1, "iterations": 3})
    double = settings.model_copy(update={"batch_size": 2, "epochs": 1, "iterations": 3})
    a, b = (
        list(DistributedPatchSampler(single, rank=0, world=2)),
        list(DistributedPatchSampler(single, rank=1, world=2)),
    )
    assert [k for pair in zip(a, b, strict=True) for k in pair] == list(
        DistributedPatchSampler(double)
    )
    later = settings.model_copy(update={"epochs": 3, "iterations": 2})
    assert list(DistributedPatchSampler(later, first=2)) == [8, 9, 10, 11]
    assert len(DistributedPatchSampler(later, first=2)) == 4


def test_what_is_certain_moves_with_its_patch(settings: TrainSettings) -> None:
    rng = np.random.default_rng(0)
    regions = rng.random((1, 40, 40, 40)) > 0.5
    images = np.zeros((2, 40, 40, 40), np.float16)
    whole = TrainingCase.from_arrays(images, regions)
    partly = TrainingCase(
        images, regions, whole.foreground_voxels, label_confidence_mask=regions[0]
    )
    patches = Patches([whole, partly], settings)
    seen = [patches[k] for k in range(30)]
    same = [torch.equal(patch["confidence"], patch["regions"]) for patch in seen]
    sure = [bool((patch["confidence"] == 1).float().mean() > 0.6) for patch in seen]
    assert any(same)
    assert any(sure)
    assert all(a or b for a, b in zip(same, sure, strict=True))
    assert "confidence" not in Patches([whole], settings)[0]


def test_each_source_has_its_share_of_the_patches_at_any_time(settings: TrainSettings) -> None:
    def flat(value: float) -> TrainingCase:
        images = np.full((2, 32, 32, 32), value, np.float16)
        return TrainingCase.from_arrays(images, np.zeros((1, 32, 32, 32), bool))

    sources = (PatchSource([flat(1000)], 0.25), PatchSource([flat(10000), flat(10000)], 0.25))
    patches = Patches([flat(100)], settings, sources=sources)
    drawn = [round(float(patches[k]["image"].max().log10())) for k in range(40)]
    assert [drawn.count(power) for power in (2, 3, 4)] == pytest.approx([20, 10, 10], abs=1)
    # In every stretch of a run, too.
    assert 4 <= drawn[:10].count(2) <= 6
    alone = Patches([flat(100)], settings)
    assert torch.equal(alone[0]["image"], Patches([flat(100)], settings, sources=())[0]["image"])
