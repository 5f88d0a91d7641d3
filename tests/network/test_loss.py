import pytest
import torch
from torch import Tensor
from torch.nn import functional

from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.network.loss import CIMLLoss
from napari_ciml.network.segmentor import Prediction

PETCT = PRESETS["autopet"]


def soft_dice(logits: Tensor, target: Tensor) -> Tensor:
    p = torch.sigmoid(logits)
    return 1 - (2 * (p * target).sum() + 1e-5) / (p.sum() + target.sum() + 1e-5)


def test_loss_is_dice_plus_cross_entropy_plus_beta_kl_summed_over_subtasks() -> None:
    torch.manual_seed(0)
    target = (torch.rand(2, 1, 4, 4, 4) > 0.5).float()
    made = {
        name: Prediction(torch.randn(2, 1, 4, 4, 4), torch.tensor(kl))
        for name, kl in (("PET", 0.3), ("CT", 0.7))
    }
    parts = CIMLLoss(PETCT, beta=0.5)(made, {"lesion": target})
    dice = sum(soft_dice(p.logits, target) for p in made.values())
    entropy = sum(
        functional.binary_cross_entropy(torch.sigmoid(p.logits), target) for p in made.values()
    )
    assert float(parts.dice) == pytest.approx(float(dice), rel=1e-4)
    assert float(parts.cross_entropy) == pytest.approx(float(entropy), rel=1e-4)
    assert float(parts.kl) == pytest.approx(1.0)
    assert float(parts.total) == pytest.approx(float(dice + entropy) + 0.5, rel=1e-4)


def test_a_perfect_prediction_costs_nothing() -> None:
    target = torch.zeros(1, 1, 8, 8, 8)
    target[..., 2:5] = 1
    logits = 60 * target - 30
    made = {name: Prediction(logits, None) for name in ("PET", "CT")}
    assert float(CIMLLoss(PETCT)(made, {"lesion": target}).total) < 1e-3


def test_each_channel_is_compared_with_its_own_region() -> None:
    brats = PRESETS["brats2020"]
    targets = {name: torch.zeros(1, 1, 4, 4, 4) for name in brats.region_names}
    targets["ET"][..., 0] = 1
    targets["TC"][..., :2] = 1
    logits = torch.cat([60 * targets["TC"] - 30, 60 * targets["ET"] - 30], dim=1)
    assert float(CIMLLoss(brats)({"T1CE": Prediction(logits, None)}, targets).total) < 1e-3
    swapped = Prediction(logits.flip(1), None)
    assert float(CIMLLoss(brats)({"T1CE": swapped}, targets).total) > 0.2


def test_regions_of_a_subtask_are_averaged_and_subtasks_summed() -> None:
    """Two regions of T2 weigh as much as the one region of FLAIR."""
    brats = PRESETS["brats2020"]
    torch.manual_seed(0)
    targets = {n: (torch.rand(1, 1, 4, 4, 4) > 0.5).float() for n in brats.region_names}
    flair, t2 = torch.randn(1, 1, 4, 4, 4), torch.randn(1, 2, 4, 4, 4)
    made = {"FLAIR": Prediction(flair, None), "T2": Prediction(t2, torch.tensor(2.0))}
    parts = CIMLLoss(brats, beta=0.25)(made, targets)
    dice = soft_dice(flair, targets["WT"]) + 0.5 * (
        soft_dice(t2[:, :1], targets["WT"]) + soft_dice(t2[:, 1:], targets["TC"])
    )
    assert float(parts.dice) == pytest.approx(float(dice), rel=1e-4)
    assert float(parts.total) == pytest.approx(float(parts.dice + parts.cross_entropy) + 0.5)


def test_beta_of_zero_leaves_the_kl_out_and_still_reports_it() -> None:
    target = torch.zeros(1, 1, 4, 4, 4)
    made = {"PET": Prediction(torch.randn(1, 1, 4, 4, 4), torch.tensor(3.0))}
    parts = CIMLLoss(PETCT, beta=0)(made, {"lesion": target})
    assert float(parts.total) == pytest.approx(float(parts.dice + parts.cross_entropy))
    assert float(parts.kl) == 3.0


def test_half_precision_logits_are_compared_in_float32() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 16, 16, 16).bfloat16()
    target = {"lesion": (torch.rand(1, 1, 16, 16, 16) > 0.9).float()}
    made, expected = (
        CIMLLoss(PETCT)({"PET": Prediction(x, None)}, target) for x in (logits, logits.float())
    )
    assert made.total.dtype == torch.float32
    assert float(made.dice) == pytest.approx(float(expected.dice), abs=1e-6)
    assert float(made.total) == pytest.approx(float(expected.total), abs=1e-6)


def test_what_is_not_certain_does_not_count() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(2, 1, 4, 4, 4), (torch.rand(2, 1, 4, 4, 4) > 0.5).float()
    certain = torch.zeros(2, 1, 4, 4, 4)
    certain[:, :, :2] = 1
    made = {name: Prediction(logits, None) for name in ("PET", "CT")}
    inner = {name: Prediction(logits[:, :, :2], None) for name in ("PET", "CT")}
    loss = CIMLLoss(PETCT)
    partly = loss(made, {"lesion": target}, certain)
    wholly = loss(inner, {"lesion": target[:, :, :2]})
    assert float(partly.dice) == pytest.approx(float(wholly.dice), rel=1e-5)
    assert float(partly.cross_entropy) == pytest.approx(float(wholly.cross_entropy), rel=1e-5)
    other = torch.where(certain > 0, target, 1 - target)
    again = loss(made, {"lesion": other}, certain)
    torch.testing.assert_close(again.total, partly.total)
    everywhere = loss(made, {"lesion": target}, torch.ones_like(certain))
    torch.testing.assert_close(everywhere.total, loss(made, {"lesion": target}).total)
    assert torch.isfinite(loss(made, {"lesion": target}, torch.zeros_like(certain)).total)
