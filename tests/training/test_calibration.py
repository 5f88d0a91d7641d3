import numpy as np
import pytest

from napari_ciml.network.checkpoint_info import PostprocessingSettings
from napari_ciml.training.calibration import CalibrationCase, calibration_error, fit_postprocessing


def overconfident(seed: int, specks: bool) -> CalibrationCase:
    """Return a case whose probabilities claim twice the logits that are true."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2, 1.5, (24, 24, 24))
    logits[8:18, 8:18, 8:18] = rng.normal(4, 1, (10, 10, 10))
    truth = rng.random((24, 24, 24)) < 1 / (1 + np.exp(-logits))
    if specks:
        logits = np.full((24, 24, 24), -3.0)
        logits[8:18, 8:18, 8:18] = 3
        truth = logits > 0
        logits[2, 2, 2:4] = 3
    values = 1 / (1 + np.exp(-2 * logits))
    inside = np.ones((24, 24, 24), bool)
    return CalibrationCase({"WT": values.astype(np.float32)}, {"WT": truth}, inside, 0.01)


def test_the_temperature_is_found_and_calibrates() -> None:
    cases = [overconfident(seed, specks=False) for seed in range(3)]
    finish = fit_postprocessing(cases)
    assert finish.temperatures["WT"] == pytest.approx(2, rel=0.1)
    before, after = calibration_error(cases, "WT"), calibration_error(cases, "WT", finish)
    assert after < 0.02 < before


def test_only_what_helps_is_chosen() -> None:
    speckled = fit_postprocessing([overconfident(0, specks=True)])
    assert speckled.min_component_ml["WT"] == 0.05
    assert speckled.fill_holes == ()
    clean = overconfident(0, specks=True)
    lonely = np.zeros((24, 24, 24), bool)
    lonely[2, 2, 2:4] = True
    small = CalibrationCase(
        {"WT": np.where(lonely, 0.9, 0.1)}, {"WT": lonely}, clean.foreground, 0.01
    )
    assert fit_postprocessing([small]).min_component_ml["WT"] == 0.0


def test_parts_are_compared_with_the_largest_where_that_helps() -> None:
    truth = np.zeros((24, 24, 24), bool)
    truth[:12, :12, :12] = True
    said = truth.copy()
    said[20:, 20:, 18:] = True  # 96 voxels, 5.6 % of the tumour
    case = CalibrationCase(
        {"WT": np.where(said, 0.9, 0.1)}, {"WT": truth}, np.ones_like(truth), 0.1
    )
    assert fit_postprocessing([case]).min_component_fraction["WT"] == 0.1
    honest = CalibrationCase(
        {"WT": np.where(said, 0.9, 0.1)}, {"WT": said}, np.ones_like(truth), 0.1
    )
    assert fit_postprocessing([honest]).min_component_fraction["WT"] == 0.0


def test_calibration_error_by_hand() -> None:
    values = np.array([0.95, 0.95, 0.05, 0.05], np.float32).reshape(1, 1, 4)
    truth = np.array([True, False, False, False]).reshape(1, 1, 4)
    case = CalibrationCase({"WT": values}, {"WT": truth}, np.ones((1, 1, 4), bool), 1.0)
    assert calibration_error([case], "WT") == pytest.approx((abs(1.9 - 1) + 0.1) / 4)
    assert calibration_error([case], "WT", PostprocessingSettings()) == calibration_error(
        [case], "WT"
    )
