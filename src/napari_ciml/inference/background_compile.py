"""Compiling the network while its case is prepared: neither waits for the other."""

from concurrent.futures import Future, ThreadPoolExecutor

import torch

from napari_ciml.cases.geometry import Grid
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.device import EngineName
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.runtime import Runtime, choose_runtime
from napari_ciml.inference.sliding_window import compile_parts
from napari_ciml.inference.tiles import Shape
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor


class BackgroundCompiler:
    """What can be compiled as soon as it is known how large the tiles are.

    Parameters
    ----------
    checkpoint : Checkpoint
        The network.
    plan : Plan
        What will be asked of it.
    device : torch.device
        Where it will run.
    engine : str
        What will run it; only ``openvino`` compiles.
    overlap : float, optional
        As in `SegmentSettings`.
    monitor : Monitor
        Its ``stop`` is heard.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        plan: InferencePlan,
        device: torch.device,
        engine: EngineName,
        overlap: float | None,
        monitor: ProgressMonitor,
    ) -> None:
        self._checkpoint, self._plan, self._overlap = checkpoint, plan, overlap
        self.device, self.engine = device, engine
        self._monitor = monitor
        self._coming: Future[None] | None = None
        self._workspace: Runtime | None = None

    def begin(self, grid: Grid) -> None:
        """Lay the tiles over the grid of the model, and compile for them in a thread of its own."""
        workspace = self.workspace(grid.shape)
        if self.engine == "openvino":
            pool = ThreadPoolExecutor(1)
            self._coming = pool.submit(self._compile, workspace)
            pool.shutdown(wait=False)

    def workspace(self, shape: Shape) -> Runtime:
        """Return where to begin with a volume of the model's voxels, (Z, Y, X)."""
        if self._workspace is None:
            info = self._checkpoint.info
            self._workspace = choose_runtime(info, shape, self.device, self.engine, self._overlap)
        return self._workspace

    def wait(self) -> None:
        """Return when it has come to an end; what went wrong shows when it is compiled again."""
        if self._coming is not None and not self._coming.done():
            self._monitor.step("Compiling the network (longer the first time)")
            self._coming.exception()

    def _compile(self, workspace: Runtime) -> None:
        quiet = ProgressMonitor(stop=self._monitor.stop)
        compile_parts(self._checkpoint, self._plan, workspace, InferenceCache(workspace), quiet)
