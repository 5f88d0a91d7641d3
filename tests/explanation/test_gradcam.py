"""Grad-CAM on the complementary information: one tile by hand, many tiles like one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.checkpoints import tiny_info
from helpers.networks import BRATS, inference_context, settled
from napari_ciml.cases.case import open_case
from napari_ciml.cases.preprocessing import preprocess
from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.explanation import gradcam
from napari_ciml.explanation.explain import complementary_weights
from napari_ciml.explanation.gradcam import complementary_maps, to_full_resolution
from napari_ciml.explanation.result import Triple
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.context import InferenceContext
from napari_ciml.inference.ensemble import ensemble
from napari_ciml.inference.plan import InferencePlan, make_plan
from napari_ciml.inference.runtime import Runtime
from napari_ciml.inference.shipped_checkpoints import find_bundled_checkpoint
from napari_ciml.inference.sliding_window import predict_pairs
from napari_ciml.inference.tiles import make_tiling
from napari_ciml.network.checkpoint import Checkpoint, load_checkpoint
from napari_ciml.paths import sample_data
from napari_ciml.progress import Progress, ProgressMonitor

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare numbers without the noise of bfloat16."""
    monkeypatch.setattr("napari_ciml.inference.device.half_precision", lambda _: None)


def volume(plan: InferencePlan, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {m: rng.standard_normal(shape).astype(np.float32) for m in plan.modalities}


def whole_plan(checkpoint: Checkpoint) -> InferencePlan:
    return make_plan(checkpoint.info, checkpoint.info.decomposition)


def hold(network: torch.nn.Module, run: Callable[[], object]) -> None:
    """Let every instance norm go on with the mean and deviation it has in this run."""

    def remember(layer: torch.nn.Module, inputs: tuple[torch.Tensor], _: torch.Tensor) -> None:
        deviation, mean = torch.std_mean(inputs[0], dim=(2, 3, 4), keepdim=True, correction=0)
        known[layer] = mean, (deviation**2 + layer.eps).sqrt()

    def replay(
        layer: torch.nn.Module, inputs: tuple[torch.Tensor], _: torch.Tensor
    ) -> torch.Tensor:
        mean, deviation = known[layer]
        weight, bias = (p[:, None, None, None] for p in (layer.weight, layer.bias))
        return (inputs[0] - mean) / deviation * weight + bias

    known: dict[torch.nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}
    norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.InstanceNorm3d)]
    first = [layer.register_forward_hook(remember) for layer in norms]
    run()
    for hook in first:
        hook.remove()
    for layer in known:
        layer.register_forward_hook(replay)


def test_maps_are_equations_14_and_15(tiny_checkpoint: Checkpoint) -> None:
    """One tile; the gradient taken by finite differences, channel by channel."""
    plan, shape = whole_plan(tiny_checkpoint), (32, 32, 32)
    images = volume(plan, shape)
    mask = np.zeros(shape, bool)
    mask[8:20, 10:25, 5:30] = True
    targets = dict.fromkeys(("WT", "TC", "ET"), mask)
    space = Runtime(CPU, make_tiling(shape, shape, 0.0))
    maps = complementary_maps(inference_context(tiny_checkpoint, plan, space), images, targets)
    assert len(maps) == 18

    net = tiny_checkpoint.network.double()
    seen = {m: torch.from_numpy(image)[None, None].double() for m, image in images.items()}
    asked = torch.from_numpy(mask)
    pair, auxiliary = Pair("T2", "TC"), "T1CE"
    with torch.no_grad():
        encoded = net.encode(seen)
        segmentor = net.segmentor("T2")
        state = segmentor.filter(encoded["T2"], net.incoming_messages("T2", encoded))

        def y(kappa: torch.Tensor) -> float:
            moved = state._replace(kappas={**state.kappas, auxiliary: kappa})
            return float(segmentor.predict(moved)[0, 1][asked].sum())

        hold(segmentor, lambda: segmentor.predict(state))
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
    space = Runtime(CPU, make_tiling((64, 32, 32), (32, 32, 32), 0.0))
    maps = complementary_maps(inference_context(tiny_checkpoint, plan, space), twice, targets)
    for zeta in maps.values():  # but for the last slice of each, which is between it and the next
        np.testing.assert_allclose(zeta[:31], zeta[32:63], atol=1e-3 * max(zeta.max(), 1e-12))


def batch_norm_checkpoint() -> Checkpoint:
    net = settled("batch").requires_grad_(requires_grad=False)
    return Checkpoint(Path("none"), tiny_info(BRATS, norm="batch"), "0", net)


def maps_of(
    checkpoint: Checkpoint,
    shape: tuple[int, int, int],
    tile: tuple[int, int, int],
    overlap: float,
    plan: InferencePlan | None = None,
    monitor: ProgressMonitor | None = None,
    **masks: np.ndarray,
) -> dict[Triple, np.ndarray]:
    plan = plan or whole_plan(checkpoint)
    targets = {name: masks.get(name, np.ones(shape, bool)) for name in BRATS.region_names}
    space = Runtime(CPU, make_tiling(shape, tile, overlap))
    images = volume(plan, shape)
    return complementary_maps(inference_context(checkpoint, plan, space, monitor), images, targets)


def test_many_tiles_explain_as_one_does() -> None:
    """Batch norm at inference is one affine map; what differs lies at the tiles' borders."""
    checkpoint, shape = batch_norm_checkpoint(), (30, 48, 89)
    asked = np.zeros(shape, bool)
    asked[8:24, 10:40, 20:80] = True
    masks = dict.fromkeys(BRATS.region_names, asked)
    one = maps_of(checkpoint, shape, (160, 160, 160), 0.0, **masks)
    many = maps_of(checkpoint, shape, (32, 48, 64), 0.5, **masks)
    assert one.keys() == many.keys()
    weights = complementary_weights(many, masks)
    for triple, weight in complementary_weights(one, masks).items():
        assert np.corrcoef(one[triple].ravel(), many[triple].ravel())[0, 1] > 0.99
        assert weights[triple] == pytest.approx(weight, abs=0.01)
        # A voxel in two tiles is asked about once, and no tile's gradient is forgotten.
        assert many[triple].sum() == pytest.approx(one[triple].sum(), rel=0.05)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_only_what_is_near_is_differentiated(
    monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Checkpoint, norm: str
) -> None:
    """The rest of a tile has no say in it, but in the statistics of instance norm."""
    checkpoint = batch_norm_checkpoint() if norm == "batch" else tiny_checkpoint
    shape = (48, 48, 48)
    asked = np.zeros(shape, bool)
    asked[0:3, 20:25, 21] = asked[5, 26, 22] = True
    masks = dict.fromkeys(BRATS.region_names, asked)
    sizes: list[int] = []
    gradients = gradcam._add_gradients

    def watched(*given: object) -> None:
        sizes.append(given[4].deep[0, 0].numel())
        gradients(*given)

    monkeypatch.setattr(gradcam, "_add_gradients", watched)
    near = maps_of(checkpoint, shape, shape, 0.0, **masks)
    assert max(sizes) < 24**3 / 8
    monkeypatch.setattr(gradcam, "_crop", lambda *given: given)
    whole = maps_of(checkpoint, shape, shape, 0.0, **masks)
    assert max(sizes) == 24**3
    largest = max(float(zeta.max()) for zeta in whole.values())
    assert largest > 0
    for triple, zeta in whole.items():
        np.testing.assert_allclose(near[triple], zeta, atol=1e-5 * largest)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_what_the_segmentation_kept_is_explained_without_running_it_again(
    monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Checkpoint, norm: str
) -> None:
    checkpoint = batch_norm_checkpoint() if norm == "batch" else tiny_checkpoint
    plan, shape = whole_plan(checkpoint), (32, 40, 48)
    images = volume(plan, shape)
    targets = {
        name: image > 1
        for name, image in zip(BRATS.region_names, list(images.values())[:3], strict=True)
    }
    space = Runtime(CPU, make_tiling(shape, (32, 32, 32), 0.5))
    context = inference_context(checkpoint, plan, space)
    expected = complementary_maps(context, images, targets)
    kept = replace(context, cache=InferenceCache(space))
    predict_pairs(kept, images)
    few = replace(context, cache=InferenceCache(space, states_limit=40_000))
    predict_pairs(few, images)
    ran: list[str] = []
    for part in checkpoint.network.modules():
        part.register_forward_hook(lambda part, *_: ran.append(type(part).__name__))

    def same(context: InferenceContext) -> None:
        found = complementary_maps(context, images, targets)
        for triple, zeta in expected.items():
            np.testing.assert_array_equal(found[triple], zeta)

    same(kept)
    assert set(ran) == {"Conv3d"}  # the last level's norms are folded into its convolutions
    same(few)
    assert "Sigmoid" in ran
    muted = make_plan(checkpoint.info, BRATS, muted={Message("T2", "FLAIR")})
    ran.clear()
    complementary_maps(replace(kept, plan=muted), images, targets)
    assert ran.count("Sigmoid") == 4 * len(space.tiling)  # T2's four gates


def test_half_precision_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """One tile of the sample, by the shipped network: of random weights both would be noise."""
    checkpoint, shape = load_checkpoint(find_bundled_checkpoint()), (48, 48, 48)
    plan, info = whole_plan(checkpoint), checkpoint.info
    case = open_case(sample_data() / "glioma")
    seen = preprocess(case, plan.modalities, info.spacing, info.normalisation, ProgressMonitor())
    middle = tuple(slice(edge // 2 - 24, edge // 2 + 24) for edge in seen.foreground.shape)
    images = {m: image[middle] for m, image in seen.images.items()}
    space = Runtime(CPU, make_tiling(shape, shape, 0.0))

    def run(asked: dict[str, np.ndarray] | None) -> tuple[dict[str, np.ndarray], dict]:
        context = InferenceContext(checkpoint, plan, InferenceCache(space))
        pairs = predict_pairs(context, images)
        asked = asked or {name: p >= 0.5 for name, p in ensemble(pairs, plan).items()}
        return asked, complementary_maps(context, images, asked)

    asked, exact = run(None)
    assert all(mask.any() for mask in asked.values())
    half = "napari_ciml.inference.device.half_precision"
    monkeypatch.setattr(half, lambda _: torch.bfloat16)
    _, rough = run(asked)
    weights = complementary_weights(exact, asked)
    for triple, weight in complementary_weights(rough, asked).items():
        assert weight == pytest.approx(weights[triple], abs=0.01)
        if weights[triple] > 0.01:
            assert np.corrcoef(exact[triple].ravel(), rough[triple].ravel())[0, 1] > 0.99


def test_padding_is_not_explained_and_does_not_dilute(tiny_checkpoint: Checkpoint) -> None:
    """A map has the volume's shape; nobody asks about the voxels that pad it."""
    maps = maps_of(tiny_checkpoint, (30, 32, 25), (32, 32, 32), 0.0)
    assert {zeta.shape for zeta in maps.values()} == {(30, 32, 25)}
    assert all(zeta.dtype == np.float32 and zeta.min() >= 0 for zeta in maps.values())
    assert max(zeta.max() for zeta in maps.values()) > 0


def test_a_pair_is_explained_by_its_own_region_alone(tiny_checkpoint: Checkpoint) -> None:
    shape = (32, 32, 32)
    small = np.zeros(shape, bool)
    small[10:12, 10:12, 10:12] = True
    before = maps_of(tiny_checkpoint, shape, shape, 0.0)
    after = maps_of(tiny_checkpoint, shape, shape, 0.0, TC=small)
    for triple, zeta in before.items():
        same = np.allclose(zeta, after[triple], atol=1e-7)
        assert same == (triple[0].region != "TC" or not (zeta.any() or after[triple].any()))


def test_no_voxel_no_map(tiny_checkpoint: Checkpoint) -> None:
    shape = (32, 32, 32)
    empty = np.zeros(shape, bool)
    maps = maps_of(tiny_checkpoint, shape, shape, 0.0, ET=empty)
    for (pair, auxiliary), zeta in maps.items():
        if pair.region == "ET":
            assert not zeta.any()
            assert np.isnan(
                complementary_weights(maps, dict.fromkeys(BRATS.region_names, empty))[
                    pair, auxiliary
                ]
            )


def test_one_forward_pass_for_each_tile_serves_every_pair(tiny_checkpoint: Checkpoint) -> None:
    network, ran, seen = tiny_checkpoint.network, [], []
    for name, encoder in network.encoders.items():
        encoder.register_forward_hook(lambda *_, name=name: ran.append(name))
    muted = {m for m in BRATS.messages if m.primary == "T1"}
    plan = make_plan(tiny_checkpoint.info, BRATS, muted=muted)
    monitor = ProgressMonitor(report=seen.append)
    maps = maps_of(tiny_checkpoint, (32, 32, 64), (32, 32, 32), 0.0, plan, monitor)
    assert sorted(ran) == sorted(2 * ["FLAIR", "T1", "T2", "T1CE"])
    assert len(maps) == 5 * 3
    assert not any(pair.primary == "T1" for pair, _ in maps)
    assert [p for p in seen if p.stage == "Explaining"] == [
        Progress("Explaining", 0, 2),
        Progress("Explaining", 1, 2),
    ]
    # The gradient ends at kappa: no weight has one, and none has changed hands.
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())


def test_a_message_nobody_hears_is_not_in_any_row(tiny_checkpoint: Checkpoint) -> None:
    plan = make_plan(tiny_checkpoint.info, BRATS, muted={Message("T2", "FLAIR")})
    maps = maps_of(tiny_checkpoint, (32, 32, 32), (32, 32, 32), 0.0, plan)
    rows = {pair: [aux for p, aux in maps if p == pair] for pair in plan.pairs}
    assert rows[Pair("T2", "WT")] == rows[Pair("T2", "TC")] == ["T1", "T1CE"]
    assert rows[Pair("T1CE", "ET")] == ["FLAIR", "T1", "T2"]
