from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from napari_ciml.cases.case import open_case
from napari_ciml.decomposition import Message, Pair
from napari_ciml.errors import CancelledError
from napari_ciml.explanation.explain import complementary_weights, explain
from napari_ciml.explanation.gradcam import complementary_maps, to_full_resolution
from napari_ciml.inference.engine import Workspace
from napari_ciml.inference.plan import Plan, make_plan
from napari_ciml.inference.segment import SegmentSettings, segment
from napari_ciml.inference.tiles import make_tiling
from napari_ciml.monitor import Monitor, Progress
from napari_ciml.network.checkpoint import Checkpoint

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare numbers without the noise of bfloat16."""
    monkeypatch.setattr("napari_ciml.inference.device.half_precision", lambda _: None)


def volume(plan: Plan, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {m: rng.standard_normal(shape).astype(np.float32) for m in plan.modalities}


def whole_plan(checkpoint: Checkpoint) -> Plan:
    return make_plan(checkpoint.info, checkpoint.info.decomposition)


def test_maps_are_equations_14_and_15(tiny_checkpoint: Checkpoint) -> None:
    """One tile; the gradient taken by finite differences, channel by channel."""
    plan, shape = whole_plan(tiny_checkpoint), (32, 32, 32)
    images = volume(plan, shape)
    mask = np.zeros(shape, bool)
    mask[8:20, 10:25, 5:30] = True
    targets = dict.fromkeys(("WT", "TC", "ET"), mask)
    space = Workspace(CPU, make_tiling(shape, shape, 0.0))
    maps = complementary_maps(tiny_checkpoint, images, targets, plan, space, Monitor())
    assert len(maps) == 18

    net = tiny_checkpoint.network.double()
    seen = {m: torch.from_numpy(image)[None, None].double() for m, image in images.items()}
    asked = torch.from_numpy(mask)
    pair, auxiliary = Pair("T2", "TC"), "T1CE"
    with torch.no_grad():
        encoded = net.encode(seen)
        segmentor = net.segmentor("T2")
        state = segmentor.filter(encoded["T2"], net.messages_to("T2", encoded), sample=False)

        def y(kappa: torch.Tensor) -> float:
            moved = state._replace(kappas={**state.kappas, auxiliary: kappa})
            return float(segmentor.predict(moved)[0, 1][asked].sum())

        kappa, count = state.kappas[auxiliary], 16**3
        alpha = []
        for channel in range(2):
            step = torch.zeros_like(kappa)
            step[:, channel] = 1e-5
            alpha.append((y(kappa + step) - y(kappa - step)) / 2e-5 / count)
        zeta = torch.relu(alpha[0] * kappa[0, 0] + alpha[1] * kappa[0, 1])
        expected = to_full_resolution(zeta).numpy()
    assert expected.max() > 0
    np.testing.assert_allclose(maps[pair, auxiliary], expected, atol=2e-3 * expected.max())


def test_a_map_lies_where_its_voxels_come_from() -> None:
    """An impulse in the image, through the encoder's strided convolution and back."""
    down = torch.nn.Conv3d(1, 1, 3, stride=2, padding=1, bias=False)
    torch.nn.init.ones_(down.weight)
    image = torch.zeros(1, 1, 16, 16, 16)
    image[0, 0, 6, 8, 4] = 1
    with torch.no_grad():
        back = to_full_resolution(down(image)[0, 0])
    index = torch.stack(torch.meshgrid(*[torch.arange(16.0)] * 3, indexing="ij"))
    centre = (index * back).sum(dim=(1, 2, 3)) / back.sum()
    torch.testing.assert_close(centre, torch.tensor([6.0, 8.0, 4.0]))


def test_alpha_is_averaged_over_all_tiles(tiny_checkpoint: Checkpoint) -> None:
    """With one set of alphas, two tiles that see the same voxels have the same map."""
    plan = whole_plan(tiny_checkpoint)
    half = volume(plan, (32, 32, 32))
    twice = {m: np.concatenate([image, image]) for m, image in half.items()}
    asked = np.ones((64, 32, 32), bool)
    asked[32:] = False  # the second tile is not asked about, but explained by the same alphas
    targets = dict.fromkeys(("WT", "TC", "ET"), asked)
    space = Workspace(CPU, make_tiling((64, 32, 32), (32, 32, 32), 0.0))
    maps = complementary_maps(tiny_checkpoint, twice, targets, plan, space, Monitor())
    for zeta in maps.values():
        np.testing.assert_allclose(zeta[:32], zeta[32:], atol=1e-3 * max(zeta.max(), 1e-12))


def test_weights_are_equation_16() -> None:
    pair, other = Pair("T2", "WT"), Pair("T2", "TC")
    maps = {
        (pair, "FLAIR"): np.full((2, 2, 2), 3.0),
        (pair, "T1"): np.full((2, 2, 2), 1.0),
        (other, "FLAIR"): np.zeros((2, 2, 2)),
    }
    weights = complementary_weights(maps)
    assert weights[pair, "FLAIR"] == 0.75
    assert weights[pair, "T1"] == 0.25
    assert np.isnan(weights[other, "FLAIR"])


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
    result.pairs[Pair("T1CE", "ET")][:] = 0
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


@pytest.mark.parametrize("stage", ["Explaining", "Assembling", "Placing"])
def test_cancel_in_every_stage(case_folder: Path, tiny_checkpoint: Checkpoint, stage: str) -> None:
    case, stop, last = open_case(case_folder), Event(), []
    result = segment(case, tiny_checkpoint)

    def report(progress: Progress) -> None:
        last.append(progress.stage)
        if progress.stage.startswith(stage):
            stop.set()

    with pytest.raises(CancelledError):
        explain(case, tiny_checkpoint, result, Monitor(report, stop=stop))
    assert last[-1].startswith(stage)
