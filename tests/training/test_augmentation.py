import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from napari_ciml.training.augmentation import RandScannerAppearance, augmentation


@pytest.fixture
def patch() -> dict[str, torch.Tensor]:
    """Three modalities of a ball that is 0 outside, and its mask."""
    rng = np.random.default_rng(0)
    z, y, x = np.indices((32, 32, 32)) - 16
    ball = z**2 + y**2 + x**2 < 150
    smooth = ndimage.gaussian_filter(rng.standard_normal((3, 32, 32, 32)), (0, 3, 3, 3))
    images = np.where(ball, smooth / smooth.std(), 0).astype(np.float32)
    images[2, :, :, 16:] = 0
    images[2, 8:] = 0
    return {"image": torch.from_numpy(images), "regions": torch.from_numpy(ball[None] * 1.0)}


def test_every_modality_is_seen_by_a_scanner_of_its_own(patch: dict[str, torch.Tensor]) -> None:
    before = patch["image"].clone()
    drawn = []
    for seed in range(30):
        scanner = RandScannerAppearance()
        scanner.set_random_state(seed)
        seen = scanner(dict(patch))
        assert torch.equal(seen["regions"], patch["regions"])
        assert seen["image"].dtype == torch.float32
        assert not seen["image"][before == 0].any()
        # Too little of it to tell what it shows.
        assert torch.equal(seen["image"][2], before[2])
        drawn.append([torch.equal(seen["image"][k], before[k]) for k in (0, 1)])
        again = RandScannerAppearance()
        again.set_random_state(seed)
        assert torch.equal(again(dict(patch))["image"], seen["image"])
    assert torch.equal(patch["image"], before)
    left = np.mean(drawn, axis=0)
    assert (left > 0.0).all()
    assert (left < 0.4).all()
    assert any(one != other for one, other in drawn)


def test_another_tone_curve_keeps_order_mean_and_spread(patch: dict[str, torch.Tensor]) -> None:
    scanner, seen = RandScannerAppearance(), patch["image"][0].numpy()
    inside = seen != 0
    for seed in range(10):
        scanner.set_random_state(seed)
        toned = scanner._tone_curve(seen, inside)[inside]
        assert stats.spearmanr(toned, seen[inside]).statistic > 0.9999
        assert toned.mean() == pytest.approx(seen[inside].mean(), abs=1e-2)
        assert toned.std() == pytest.approx(seen[inside].std(), rel=1e-2)
        assert np.abs(toned - seen[inside]).max() > 0.05


def test_it_is_done_where_it_is_asked_for(patch: dict[str, torch.Tensor]) -> None:
    asked = [type(step) for step in augmentation(scanner_augmentation=True).transforms]
    assert asked[0] is RandScannerAppearance
    assert asked[1:] == [type(step) for step in augmentation().transforms]
    steps = augmentation(scanner_augmentation=True)
    steps.set_random_state(3)
    found = steps(dict(patch))
    assert set(found["regions"].unique().tolist()) <= {0.0, 1.0}
    assert found["image"].shape == patch["image"].shape
