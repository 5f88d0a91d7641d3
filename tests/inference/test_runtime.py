from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from helpers.checkpoints import tiny_info
from napari_ciml.decomposition.presets import PRESETS
from napari_ciml.errors import DeviceError
from napari_ciml.inference import runtime
from napari_ciml.inference.runtime import Runtime, choose_runtime, run_with_oom_fallback
from napari_ciml.inference.tile_policy import choose_tiling, shrink_tiling
from napari_ciml.inference.tiles import SMALLEST_TILE
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor

CPU = torch.device("cpu")
BRATS = PRESETS["brats2020"]
SHAPE = (96, 96, 96)


class Machine:
    """Runs tiles, and is out of memory where it is told to be."""

    def __init__(self, fails: Callable[[Runtime], BaseException | None]) -> None:
        self.fails, self.tried, self.told = fails, [], []

    def __call__(self, attempt: Runtime) -> str:
        self.tried.append((attempt.device.type, max(attempt.tiling.tile)))
        error = self.fails(attempt)
        if error is not None:
            raise error
        return "done"

    def run(self, checkpoint: Checkpoint, device: str) -> str:
        monitor = ProgressMonitor(notify=self.told.append)
        info = checkpoint.info.model_copy(update={"patch": (96, 96, 96)})
        first = choose_runtime(info, SHAPE, torch.device(device))
        return run_with_oom_fallback(self, first, SHAPE, info, monitor)[0]


@pytest.fixture(autouse=True)
def released(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Devices whose memory was given back; there is no CUDA here to ask."""
    seen: list[str] = []
    monkeypatch.setattr(runtime, "release", lambda device: seen.append(device.type))
    return seen


def full(_: Runtime) -> BaseException:
    return torch.OutOfMemoryError("CUDA out of memory")


def test_goes_on_with_smaller_tiles_and_says_so(
    tiny_checkpoint: Checkpoint, released: list[str]
) -> None:
    machine = Machine(lambda w: full(w) if max(w.tiling.tile) > 48 else None)
    assert machine.run(tiny_checkpoint, "cuda") == "done"
    assert machine.tried == [("cuda", 96), ("cuda", 48)]
    assert released == ["cuda"]
    assert "memory of cuda is full" in machine.told[0]
    assert "48 x 48 x 48" in machine.told[0]


def test_then_on_the_cpu_with_the_large_tile(tiny_checkpoint: Checkpoint) -> None:
    machine = Machine(lambda w: full(w) if w.device.type == "cuda" else None)
    assert machine.run(tiny_checkpoint, "cuda") == "done"
    assert machine.tried[-1] == ("cpu", 96)
    assert ("cuda", SMALLEST_TILE) in machine.tried
    assert machine.told[-1] == "The memory of cuda is full; continuing on the CPU."


def test_gives_up_when_the_cpu_is_full(tiny_checkpoint: Checkpoint) -> None:
    machine = Machine(lambda _: RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    with pytest.raises(DeviceError, match="not enough memory"):
        machine.run(tiny_checkpoint, "cpu")
    assert machine.tried[-1] == ("cpu", SMALLEST_TILE)


def test_other_errors_pass_through(tiny_checkpoint: Checkpoint) -> None:
    machine = Machine(lambda _: RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        machine.run(tiny_checkpoint, "cpu")
    assert len(machine.tried) == 1


def test_tiles_follow_the_norm(tiny_checkpoint: Checkpoint) -> None:
    brain = (144, 176, 144)
    patches = choose_tiling(tiny_checkpoint.info, brain, CPU)
    assert (patches.tile, patches.starts[1]) == ((32, 32, 32), (0, 0, 16))
    info = tiny_info(BRATS, norm="batch")
    several = tiny_checkpoint.info.model_copy(update={"largest_patch": (96, 96, 96)})
    assert choose_tiling(several, (70, 90, 75), CPU).starts == ((0, 0, 0),)
    whole = choose_tiling(info, brain, CPU)
    assert (whole.tile, len(whole)) == (brain, 1)
    half = shrink_tiling(info, brain, whole)
    assert half.tile == (144, 112, 96)
    assert half.starts == ((0, 0, 0), (0, 0, 48), (0, 64, 0), (0, 64, 48))


def test_overlap_is_as_asked() -> None:
    """With either norm: tiles of the patch, as a sliding window is usually run."""
    for norm in ("instance", "batch"):
        info = tiny_info(PRESETS["brats2020"], norm=norm)
        counts = [len(choose_tiling(info, (64, 64, 64), CPU, share)) for share in (0.0, 0.5)]
        assert counts == [8, 27]


def test_overlap_is_as_asked_on_smaller_tiles_and_on_the_cpu(tiny_checkpoint: Checkpoint) -> None:
    seen = []

    def run(where: Runtime) -> None:
        seen.append((where.device.type, max(where.tiling.tile), len(where.tiling)))
        if where.device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")

    for norm in ("instance", "batch"):
        info = tiny_info(BRATS, norm=norm).model_copy(update={"patch": (64, 64, 64)})
        first = choose_runtime(info, (64, 64, 64), torch.device("cuda"), overlap=0.0)
        run_with_oom_fallback(run, first, (64, 64, 64), info, ProgressMonitor())
        assert seen == [("cuda", 64, 1), ("cuda", 32, 8), ("cpu", 64, 1)]
        seen.clear()


def test_pieces_fit_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A voxel takes 384 bytes with 4 filters in float32; 70 % of what is free is used."""
    free = SimpleNamespace(available=384 * 48 * 48 * 64 / 0.7 + 1)
    monkeypatch.setattr("psutil.virtual_memory", lambda: free)
    monkeypatch.setattr("napari_ciml.inference.tile_policy.half_precision", lambda _: None)
    info = tiny_info(BRATS, norm="batch", base_filters=4)
    tiling = choose_tiling(info, (48, 48, 96), CPU)
    assert (tiling.tile, len(tiling)) == ((48, 48, 64), 3)
