from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference

from helpers.checkpoints import tiny_info
from helpers.networks import inference_context, settled
from napari_ciml.decomposition.model import Message, Pair
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import CancelledError
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.plan import InferencePlan, make_plan
from napari_ciml.inference.runtime import Runtime, choose_runtime, run_with_oom_fallback
from napari_ciml.inference.sliding_window import predict_pairs
from napari_ciml.inference.tiles import make_tiling
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import Progress, ProgressMonitor

CPU = torch.device("cpu")
BRATS = PRESETS["brats2020"]
SHAPE = (96, 96, 96)


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare numbers without the noise of bfloat16."""
    monkeypatch.setattr("napari_ciml.inference.device.half_precision", lambda _: None)


def random_images(plan: InferencePlan, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {m: rng.standard_normal(shape).astype(np.float32) for m in plan.modalities}


def test_a_network_that_runs_out_of_memory_gives_the_answer_of_the_smaller_tile(
    tiny_checkpoint: Checkpoint,
) -> None:
    """The real engine; each time memory is full, in the middle of the second tile."""
    wide = replace(
        tiny_checkpoint, info=tiny_checkpoint.info.model_copy(update={"patch": (64, 64, 64)})
    )
    plan = make_plan(wide.info, PRESETS["flair-t1ce"])
    images, told, tiles = random_images(plan, (33, 80, 40)), [], []

    def full_above_32(_: object, given: tuple[torch.Tensor, ...]) -> None:
        tiles.append(tuple(given[0].shape[2:]))
        if max(tiles[-1]) > 32 and len(tiles) % 2 == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = wide.network.encoders["T1CE"].register_forward_pre_hook(full_above_32)
    made, runtime = run_with_oom_fallback(
        lambda runtime: predict_pairs(inference_context(wide, plan, runtime), images),
        choose_runtime(wide.info, (33, 80, 40), CPU),
        (33, 80, 40),
        wide.info,
        ProgressMonitor(notify=told.append),
    )
    hook.remove()
    assert tiles[:5] == 2 * [(48, 64, 48)] + 2 * [(48, 32, 48)] + [(32, 32, 32)]
    assert runtime.tiling.tile == (32, 32, 32)
    assert [text.split("tiles of ")[1] for text in told] == ["48 x 32 x 48.", "32 x 32 x 32."]
    direct = predict_pairs(inference_context(wide, plan, runtime), images)
    for pair in plan.pairs:
        np.testing.assert_array_equal(made[pair], direct[pair])


def test_errors_that_are_not_about_memory_leave_the_engine_at_once(
    tiny_checkpoint: Checkpoint,
) -> None:
    told: list[str] = []

    def cancelled(_: Runtime) -> None:
        raise CancelledError

    first = choose_runtime(tiny_checkpoint.info, SHAPE, CPU)
    with pytest.raises(CancelledError):
        run_with_oom_fallback(
            cancelled, first, SHAPE, tiny_checkpoint.info, ProgressMonitor(notify=told.append)
        )
    assert told == []


def test_one_tile_is_the_network_itself(tiny_checkpoint: Checkpoint) -> None:
    """Padded behind to multiples of 16 with zeros, cut back, through a sigmoid."""
    plan = make_plan(tiny_checkpoint.info, BRATS, muted={Message("T2", "T1")})
    images, shape = random_images(plan, (30, 32, 25)), (30, 32, 25)
    space = Runtime(CPU, make_tiling(shape, (32, 32, 32), 0.5))
    made = predict_pairs(inference_context(tiny_checkpoint, plan, space), images)
    padded = {m: np.pad(i, [(0, 2), (0, 0), (0, 7)])[None, None] for m, i in images.items()}
    with torch.no_grad():
        expected = tiny_checkpoint.network(
            {m: torch.from_numpy(i) for m, i in padded.items()}, muted=plan.muted
        )
    assert tuple(made) == BRATS.pairs
    for pair, values in made.items():
        channel = BRATS.subtask(pair.primary).regions.index(pair.region)
        logits = expected[pair.primary].logits[0, channel, :30, :, :25]
        assert (values.shape, values.dtype) == (shape, np.float32)
        np.testing.assert_allclose(values, torch.sigmoid(logits).numpy(), atol=1e-5)


def test_a_pass_at_larger_voxels_is_averaged_in(tiny_checkpoint: Checkpoint) -> None:
    """The mean of two passes; what is muted afterwards is as if it had been from the start."""
    plan, shape = make_plan(tiny_checkpoint.info, PRESETS["flair-t1ce"]), (40, 48, 40)
    images = random_images(plan, shape)
    space = Runtime(CPU, make_tiling(shape, (32, 32, 32), 0.5))
    larger = {m: zoomed(image, (32, 38, 32)) for m, image in images.items()}
    far = Runtime(CPU, make_tiling((32, 38, 32), (32, 32, 32), 0.5))

    def run(
        plan: InferencePlan, images: dict, cache: InferenceCache, multiscale: bool = False
    ) -> dict:
        context = inference_context(tiny_checkpoint, plan, cache.runtime, cache=cache)
        return predict_pairs(context, images, multiscale=multiscale)

    kept, alone = InferenceCache(space), InferenceCache(space)
    made = run(plan, images, kept, multiscale=True)
    once, coarse = run(plan, images, alone), run(plan, larger, InferenceCache.disabled(far))
    for pair, values in made.items():
        assert values.shape == shape
        expected = (once[pair] + zoomed(coarse[pair], shape)) / 2
        np.testing.assert_allclose(values, expected, atol=1e-5)
        assert np.abs(values - once[pair]).max() > 1e-3
    assert kept.messages_bytes > alone.messages_bytes
    assert kept.states_bytes == alone.states_bytes  # maps are those of the first pass
    quiet = make_plan(tiny_checkpoint.info, PRESETS["flair-t1ce"], muted={Message("FLAIR", "T1CE")})
    after = run(quiet, images, kept, multiscale=True)
    uncached = run(quiet, images, InferenceCache.disabled(space), multiscale=True)
    for pair, values in uncached.items():
        np.testing.assert_array_equal(after[pair], values)
    kept.clear_features()
    assert kept.messages_bytes == 0


def zoomed(values: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Resize linearly, outer edges on outer edges, axis by axis, as by hand."""
    for axis, count in enumerate(shape):
        size = values.shape[axis]
        at = np.clip((np.arange(count) + 0.5) * size / count - 0.5, 0, size - 1)
        low = np.minimum(at.astype(int), size - 2)
        share = (at - low).reshape([-1 if k == axis else 1 for k in range(3)])
        values = values.take(low, axis) * (1 - share) + values.take(low + 1, axis) * share
    return values.astype(np.float32)


def test_mirrored_passes_are_averaged(tiny_checkpoint: Checkpoint) -> None:
    """The mean over the eight images of a tile, each mirrored back; kept is the tile as it is."""
    plan, shape = make_plan(tiny_checkpoint.info, PRESETS["flair-t1ce"]), (32, 32, 32)
    images, space = random_images(plan, shape), Runtime(CPU, make_tiling(shape, shape, 0))
    kept, plain, steps = InferenceCache(space), InferenceCache(space), []
    heard = ProgressMonitor(report=lambda p: steps.append((p.done, p.total)))

    def run(images: dict[str, np.ndarray], cache: InferenceCache | None, flips: bool) -> dict:
        context = inference_context(tiny_checkpoint, plan, space, heard, cache)
        return predict_pairs(context, images, test_time_flips=flips)

    mirrored = run(images, kept, True)
    assert steps == [(done, 8) for done in range(9)]
    expected = {pair: np.zeros(shape) for pair in plan.pairs}
    for flip in product(*((slice(None), slice(None, None, -1)),) * 3):
        for pair, values in run({m: i[flip] for m, i in images.items()}, None, False).items():
            expected[pair] += values[flip] / 8
    once = run(images, plain, False)
    for pair, values in mirrored.items():
        np.testing.assert_allclose(values, expected[pair], atol=1e-5)
        assert np.abs(values - once[pair]).max() > 1e-3
    assert (kept.messages_bytes, kept.states_bytes) == (plain.messages_bytes, plain.states_bytes)
    for name in plan.subtasks:
        one, other = kept.state(0, name, plan), plain.state(0, name, plan)
        torch.testing.assert_close(one.tensors(), other.tensors())


def test_a_volume_smaller_than_a_stride_is_served(tiny_checkpoint: Checkpoint) -> None:
    """Instance norm at the deepest level needs more than one voxel."""
    plan, shape = make_plan(tiny_checkpoint.info, PRESETS["flair-t1ce"]), (14, 15, 12)
    images = random_images(plan, shape)
    made, _ = run_with_oom_fallback(
        lambda runtime: predict_pairs(inference_context(tiny_checkpoint, plan, runtime), images),
        choose_runtime(tiny_checkpoint.info, shape, CPU),
        shape,
        tiny_checkpoint.info,
        ProgressMonitor(),
    )
    assert {values.shape for values in made.values()} == {shape}


def test_batch_norm_gives_the_same_answer_wherever_the_tiles_lie() -> None:
    info = tiny_info(BRATS, norm="batch")
    checkpoint = Checkpoint(Path("none"), info, "0", settled("batch"))
    plan, shape = make_plan(info, BRATS), (32, 32, 89)
    images = random_images(plan, shape)

    def run(edge: int) -> dict[Pair, np.ndarray]:
        tiling = make_tiling(shape, (edge,) * 3, 0.25)
        return predict_pairs(inference_context(checkpoint, plan, Runtime(CPU, tiling)), images)

    whole, many = run(160), run(64)
    for pair, values in whole.items():
        # 0.01 of the spread with tiles at multiples of 16, 0.2 anywhere else.
        assert np.abs(many[pair] - values).mean() < 0.05 * values.std()


def test_many_tiles_are_monais_sliding_window(tiny_checkpoint: Checkpoint) -> None:
    """Half overlap over whole strides: MONAI lays the same tiles, and blends as we do.

    But for the corners of a tile, where its least weight is 0.001 and ours a share of the largest.
    """
    plan = make_plan(tiny_checkpoint.info, PRESETS["flair-t1ce"])
    images = random_images(plan, (32, 48, 64))
    tiling = make_tiling((32, 48, 64), (32, 32, 32), 0.5)
    made = predict_pairs(inference_context(tiny_checkpoint, plan, Runtime(CPU, tiling)), images)

    def predict(patch: torch.Tensor) -> torch.Tensor:
        parts = {m: patch[:, k : k + 1] for k, m in enumerate(plan.modalities)}
        found = tiny_checkpoint.network(parts, plan.subtasks, plan.muted)
        return torch.sigmoid(torch.cat([found[name].logits for name in plan.subtasks], dim=1))

    stack = torch.from_numpy(np.stack([images[m] for m in plan.modalities]))[None]
    with torch.no_grad():
        expected = sliding_window_inference(
            stack, (32, 32, 32), 1, predict, overlap=0.5, mode="gaussian"
        )[0]
    for k, pair in enumerate(plan.pairs):
        np.testing.assert_allclose(made[pair], expected[k].numpy(), atol=4e-3)


def test_nothing_is_encoded_or_decoded_that_nobody_asked_for(tiny_checkpoint: Checkpoint) -> None:
    plan = make_plan(tiny_checkpoint.info, PRESETS["flair-t1ce"])
    ran: list[str] = []
    network = tiny_checkpoint.network
    outputs = [(name, network.segmentor(name).output) for name in network.segmentors]
    for name, part in [*network.encoders.items(), *outputs]:
        part.register_forward_hook(lambda *_, name=name: ran.append(name))
    space = Runtime(CPU, make_tiling((32, 32, 64), (32, 32, 32), 0.0))
    images = random_images(plan, (32, 32, 64))
    assert set(images) == {"FLAIR", "T1CE"}
    predict_pairs(inference_context(tiny_checkpoint, plan, space), images)
    # Two tiles; in each, both encoders and both segmentors once.
    assert sorted(ran) == sorted(2 * 2 * ["FLAIR", "T1CE"])


def test_cancel_within_one_tile(tiny_checkpoint: Checkpoint) -> None:
    plan = make_plan(tiny_checkpoint.info, tiny_checkpoint.info.decomposition)
    images = {m: torch.randn(32, 64, 64).numpy() for m in plan.modalities}
    tiling = make_tiling((32, 64, 64), (32, 32, 32), 0.0)
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 2:
            monitor.stop.set()

    monitor = ProgressMonitor(report=report)
    with pytest.raises(CancelledError):
        predict_pairs(
            inference_context(tiny_checkpoint, plan, Runtime(CPU, tiling), monitor), images
        )
    assert seen[-1].done == 2
    assert seen[-1].total == 4
