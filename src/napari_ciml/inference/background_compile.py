"""Compile the network in a thread while the case is preprocessed."""

from concurrent.futures import Future, ThreadPoolExecutor

import torch

from napari_ciml.cases.geometry import Grid
from napari_ciml.inference.cache import InferenceCache
from napari_ciml.inference.context import InferenceContext
from napari_ciml.inference.device import EngineName
from napari_ciml.inference.plan import InferencePlan
from napari_ciml.inference.runtime import Runtime, choose_runtime
from napari_ciml.inference.sliding_window import compile_parts
from napari_ciml.inference.tiles import Shape
from napari_ciml.network.checkpoint import Checkpoint
from napari_ciml.progress import ProgressMonitor


class BackgroundCompiler:
    """Choose the runtime once the model grid is known, and compile for it in the background.

    Parameters
    ----------
    checkpoint : Checkpoint
        The network.
    plan : InferencePlan
        Pairs and messages of the run.
    device : torch.device
        Device of the run.
    engine : {"torch", "openvino"}
        Engine of the run; only ``openvino`` compiles.
    overlap : float, optional
        Overlap of tiles, see `RunOptions`.
    monitor : ProgressMonitor
        Its cancellation also ends the compilation.
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
        self._future: Future[None] | None = None
        self._runtime: Runtime | None = None

    def start(self, grid: Grid) -> None:
        """Choose the tiles for the model grid and start to compile for them."""
        runtime = self.runtime(grid.shape)
        if self.engine == "openvino":
            pool = ThreadPoolExecutor(1)
            self._future = pool.submit(self._compile, runtime)
            pool.shutdown(wait=False)

    def runtime(self, shape: Shape) -> Runtime:
        """Return the runtime for a volume of shape (Z, Y, X) on the model grid."""
        if self._runtime is None:
            info = self._checkpoint.info
            self._runtime = choose_runtime(info, shape, self.device, self.engine, self._overlap)
        return self._runtime

    def wait(self) -> None:
        """Wait for the compilation. Its errors are ignored: the run compiles again and raises."""
        if self._future is not None and not self._future.done():
            self._monitor.step("Compiling the network (longer the first time)")
            self._future.exception()

    def _compile(self, runtime: Runtime) -> None:
        silent = ProgressMonitor(stop=self._monitor.stop)
        cache = InferenceCache(runtime)
        compile_parts(InferenceContext(self._checkpoint, self._plan, cache, silent))
