from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from napari_ciml.errors import CancelledError, DeviceError
from napari_ciml.inference import engine
from napari_ciml.inference.device import choose_device, is_out_of_memory
from napari_ciml.inference.engine import SMALLEST_TILE, Workspace, tile_policy, with_fallback
from napari_ciml.inference.plan import make_plan
from napari_ciml.monitor import Monitor, Progress
from napari_ciml.network.checkpoint import Checkpoint

SHAPE = (96, 96, 96)


class Machine:
    """Runs tiles, and is out of memory where it is told to be."""

    def __init__(self, fails: Callable[[Workspace], BaseException | None]) -> None:
        self.fails, self.tried, self.told = fails, [], []

    def __call__(self, workspace: Workspace) -> str:
        self.tried.append((workspace.device.type, max(workspace.tiling.tile)))
        error = self.fails(workspace)
        if error is not None:
            raise error
        return "done"

    def run(self, checkpoint: Checkpoint, device: str) -> str:
        monitor = Monitor(tell=self.told.append)
        fake = SimpleNamespace(
            info=checkpoint.info.model_copy(update={"patch": (96, 96, 96)}), network=None
        )
        return with_fallback(self, SHAPE, fake, torch.device(device), monitor)[0]


@pytest.fixture(autouse=True)
def released(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Devices whose memory was given back; there is no CUDA here to ask."""
    seen: list[str] = []
    monkeypatch.setattr(engine, "release", lambda device: seen.append(device.type))
    return seen


def full(_: Workspace) -> BaseException:
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
    assert machine.told[-1] == "The memory of cuda is full; going on on the CPU."


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
    assert not is_out_of_memory(RuntimeError("a bug"))
    assert is_out_of_memory(MemoryError())


def test_tiles_follow_the_norm(tiny_checkpoint: Checkpoint) -> None:
    assert tile_policy(tiny_checkpoint) == ((32, 32, 32), 0.5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(DeviceError, match="'cuda' is not available"):
        choose_device("cuda")
    assert choose_device("auto").type in ("cpu", "mps")


def test_cancel_within_one_tile(tiny_checkpoint: Checkpoint) -> None:
    plan = make_plan(tiny_checkpoint.info, tiny_checkpoint.info.decomposition)
    images = {m: torch.randn(32, 64, 64).numpy() for m in plan.modalities}
    tiling = engine.make_tiling((32, 64, 64), (32, 32, 32), 0.0)
    seen: list[Progress] = []
    monitor = Monitor()

    def report(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 2:
            monitor.stop.set()

    monitor = Monitor(report=report)
    with pytest.raises(CancelledError):
        engine.predict_pairs(
            tiny_checkpoint, images, plan, Workspace(torch.device("cpu"), tiling), monitor
        )
    assert seen[-1].done == 2
    assert seen[-1].total == 4
